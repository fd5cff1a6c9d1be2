"""Runs the commands that the documentation prints, as they are printed: the lines of its `sh` blocks that begin with
curl, grpcurl, engram, openssl and the like, and its `python` blocks, in their order, against `engram start` with
WordNet. Only ports are replaced, so that nothing else on this machine is met. A command succeeds, and one that ends
in a comment such as `# 400` is answered with that status."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "app"))

from engram_command import COMMAND, PATIENCE, Daemon, clean_environment  # noqa: E402

PAGES = ["README.md", "docs/http.md", "docs/oip.md", "docs/admin.md", "docs/security.md",
         "docs/dashboard.md"]
RUN = ("curl", "grpcurl", "engram", "openssl", "printf", "chmod", "mkdir", "python3", "echo")
# Building, installing and what belongs to the person at the machine. `engram replay` and
# perf_analyzer, which wants a quiet machine and minutes, have their own tests.
LEFT_OUT = ("perf_analyzer", "scripts/", "build/", "cmake", "nsys", "export", "engram replay", "engram start --help",
            "sudo", "systemctl", "journalctl", "dpkg", "kubectl", "podman", "apt")
CURL_FAILED = 22


def blocks_of(page):
    """Returns (language, text) of each fenced block."""
    return re.findall(r"^```(\w+)\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def commands_of(text):
    """Returns the commands of a shell block, continued lines in one."""
    joined = re.sub(r"\\\n\s*", "", text)
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")]


class Reader:
    """Somebody who follows a page from top to bottom."""

    def __init__(self, test, store):
        self.test = test
        self.store = store
        self.folder = test.enterContext(tempfile.TemporaryDirectory())
        pathlib.Path(self.folder, ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 60\n")
        self.daemon = None
        self.arguments = []

    def start(self, arguments):
        self.stop()
        self.arguments = arguments
        here = os.getcwd()
        os.chdir(self.folder)  # files that the page has made are named as it names them
        try:
            self.daemon = Daemon(self.store, *arguments)
        finally:
            os.chdir(here)
        self.test.assertTrue(self.daemon.ready, "".join(self.daemon.log))

    def stop(self):
        if self.daemon:
            self.daemon.__exit__()
        self.daemon = None

    def with_ports(self, text):
        ready = json.loads(self.daemon.ready)
        return text.replace(":8080", f":{ready['port']}").replace(":8081", f":{ready['grpc_port']}")

    def environment(self):
        path = os.pathsep.join([str(pathlib.Path(COMMAND).parent), str(pathlib.Path(__file__).parent / "bin"),
                                str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
        return clean_environment(PATH=path, CURL_HOME=self.folder, ENGRAM_DATA_DIR=str(self.store),
                                 LD_LIBRARY_PATH=os.environ.get("PERF_ANALYZER_LIBRARIES", ""))

    def run(self, command):
        if not self.daemon or self.daemon.process.poll() is not None:
            self.start(self.arguments)
        wanted = re.search(r"#\s*(\d{3})\b[^'\"]*$", command)
        ran = subprocess.run(["bash", "-c", self.with_ports(command)], cwd=self.folder, text=True,
                             env=self.environment(), capture_output=True, timeout=2 * PATIENCE, check=False)
        said = f"{command}\n{ran.stdout}{ran.stderr}"
        if wanted:
            self.test.assertEqual(ran.returncode, CURL_FAILED, said)
            self.test.assertIn(wanted[1], ran.stdout + ran.stderr, said)
        else:
            self.test.assertEqual(ran.returncode, 0, said)
        if re.search(r"/drain\b", command, re.IGNORECASE):
            self.test.assertEqual(self.daemon.process.wait(PATIENCE), 0)  # the next command starts it again

    def follow(self, language, text):
        if language == "python":
            script = pathlib.Path(self.folder, "printed.py")
            script.write_text(self.with_ports(text))
            self.run(f"{sys.executable} {script}")
            return 1
        count = 0
        for command in commands_of(text) if language == "sh" else []:
            if command.startswith("engram start") and "--help" not in command:
                self.start(shlex.split(command, comments=True)[2:])
            elif command.startswith("engram dataset import wordnet"):
                continue  # has been
            elif command.startswith(LEFT_OUT):
                continue
            else:
                self.test.assertTrue(command.startswith(RUN), f"neither run nor left out: {command}")
                self.run(command)
                count += 1
        return count


class PrintedCommandsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.store = cls.enterClassContext(tempfile.TemporaryDirectory())
        subprocess.run([COMMAND, "dataset", "import", "wordnet"], check=True, capture_output=True, timeout=PATIENCE,
                       env=clean_environment(ENGRAM_DATA_DIR=cls.store))

    def test_every_page(self):
        for page in PAGES:
            with self.subTest(page):
                reader = Reader(self, self.store)
                self.addCleanup(reader.stop)
                reader.start([])
                count = sum(reader.follow(*block) for block in blocks_of(page))
                reader.stop()
                self.assertGreater(count, 0, "the page prints no command")


if __name__ == "__main__":
    unittest.main()
