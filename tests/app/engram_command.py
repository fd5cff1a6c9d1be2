"""Runs the engram command: what its tests share."""

import http.client
import json
import os
import pathlib
import queue
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

COMMAND = os.environ.get("ENGRAM_COMMAND", "engram")
PATIENCE = 60  # seconds; a hang fails the test instead of the whole run

# The test preset of a build that cannot have the gRPC door switches it off (docs/decisions/0021).
GRPC = os.environ.get("ENGRAM_GRPC_ENABLED", "true") == "true"
needs_grpc = unittest.skipUnless(GRPC, "the gRPC door is switched off in this build's tests")


def clean_environment(**more):
    """Returns this process's environment without ENGRAM_ variables, with any free port for gRPC, or without gRPC
    where this run has none, and with `more`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGRAM_")}
    kept.update({"ENGRAM_GRPC_PORT": "0"} if GRPC else {"ENGRAM_GRPC_ENABLED": "false"})
    return {**kept, **more}


def npy(rows):
    """Returns the bytes of a float32 .npy file."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, {len(rows[0])}), }}"
    header = header.ljust(117) + "\n"
    data = b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


class CommandTest(unittest.TestCase):
    """A test with a folder of its own that holds a store with `things` and `things-graph`."""

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)
        cls.folder = pathlib.Path(cls._folder.name)
        cls.store = cls.folder / "store"
        (cls.folder / "things.npy").write_bytes(npy([[1, 0], [0, 1], [-1, 0], [0.6, 0.8]]))
        (cls.folder / "labels.txt").write_text("east\nnorth\nwest\nnorth-east\n")
        (cls.folder / "edges.txt").write_text("0 1 0.5\n1 2 0.5\n2 3 -0.5\n")
        for name, file in (("things", "things.npy"), ("things-graph", "edges.txt")):
            done = cls.engram("dataset", "import", name, cls.folder / file,
                              "--labels", cls.folder / "labels.txt")
            assert done.returncode == 0, done.stderr

    @classmethod
    def engram(cls, *arguments, **variables):
        """Runs `engram ARGUMENTS` on the test's store and returns what came of it."""
        return subprocess.run(
            [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
            env=clean_environment(ENGRAM_DATA_DIR=str(cls.store), **variables), check=False)

    def run_engram(self, code, *arguments, **variables):
        """Runs it, checks the exit code and the form of what it says on trouble, returns its output."""
        done = self.engram(*arguments, **variables)
        self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        if code in (2, 3):
            self.assertTrue(done.stderr, arguments)
            for line in done.stderr.splitlines():
                self.assertTrue(line.startswith("engram: "), line)
        return done

    def run_json(self, code, *arguments, **variables):
        """Runs it with --json and returns the one object that it prints."""
        return json.loads(self.run_engram(code, *arguments, "--json", **variables).stdout)


class Daemon:
    """`engram start`, on a free port unless one is given."""

    def __init__(self, store, *arguments, port=0, **variables):
        self.process = subprocess.Popen(
            [COMMAND, "start", "--port", str(port), "--json", *map(str, arguments)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment(ENGRAM_DATA_DIR=str(store), **variables))
        self.log = []
        self._lines = queue.Queue()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self.ready = self.process.stdout.readline()  # empty if it ends first
        self.port = json.loads(self.ready)["port"] if self.ready else None

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)
            self._lines.put(line)

    def wait_for_log(self, words):
        """Returns the next line of the log that has `words`."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            if words in line:
                return line

    def request(self, method, path, body=None):
        """Returns status and parsed body of a request over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body=json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            text = response.read()
            is_json = response.headers["Content-Type"] in ("application/json", "application/problem+json")
            return response.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()

    def send(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM):
        """Sends a signal and returns the exit code."""
        self.send(number)
        return self.process.wait(timeout=PATIENCE)


if __name__ == "__main__":
    sys.exit("not a test by itself")
