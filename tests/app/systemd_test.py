"""What `engram start` tells systemd: the test listens in its place."""

import concurrent.futures
import os
import re
import signal
import socket
import time
import unittest

from engram_command import PATIENCE, CommandTest, Daemon, needs_grpc

SEARCH = {"collection": "things", "query": [0, 1], "k": 1, "deadline_ms": 30000}


class ServiceManager:
    """Listens where systemd would."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard = []

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        self.socket.close()
        os.unlink(self.path)

    def next(self, patience=PATIENCE):
        """Returns the next notification, a dictionary; None if there is none in time."""
        self.socket.settimeout(max(patience, 0.001))
        try:
            text = self.socket.recv(65536).decode()
        except TimeoutError:
            return None
        self.heard.append(dict(line.split("=", 1) for line in text.splitlines()))
        return self.heard[-1]

    def wait_for(self, key, patience=PATIENCE):
        """Returns the next notification that has `key`; None if there is none in time."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            told = self.next(end - time.monotonic())
            if told and key in told:
                return told
        return None

    def forget(self):
        """Drops what has come so far."""
        while self.next(0.001):
            pass


class Systemd(CommandTest):
    def setUp(self):
        self.manager = self.enterContext(ServiceManager(self.folder))

    def start(self, *arguments, **variables):
        return Daemon(self.store, "--gpu.enabled=false", *arguments, NOTIFY_SOCKET=self.manager.path, **variables)

    @needs_grpc
    def test_it_is_told_what_is_loaded_and_when_requests_are_taken(self):
        with self.start() as daemon:
            ready = self.manager.wait_for("READY")
            before = [told["STATUS"] for told in self.manager.heard[:-1]]
            self.assertEqual(before, ["Opening the devices", "Loading things (1 of 2)",
                                      "Loading things-graph (2 of 2)"])
            self.assertEqual(ready["READY"], "1")
            self.assertRegex(ready["STATUS"],
                             f"^Serving 2 datasets on http://127.0.0.1:{daemon.port}, gRPC on port [0-9]+$")
            self.assertEqual(daemon.request("GET", "/readyz")[0], 200)

    def test_a_reload_is_framed_whether_it_is_taken_or_refused(self):
        file = self.folder / "reloaded.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        with self.start("--config", file) as daemon:
            self.manager.wait_for("READY")
            for text in ("[batching]\nmax_wait_ms = 4\n", "[batching]\nmax_wait_ms = -1\n"):
                file.write_text(text)
                began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                daemon.send(signal.SIGHUP)
                reloading = self.manager.next()
                self.assertEqual(reloading["RELOADING"], "1")
                now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                self.assertTrue(began <= int(reloading["MONOTONIC_USEC"]) <= now)
                self.assertEqual(self.manager.next()["READY"], "1")
            daemon.wait_for_log("stays as it was")

    def test_a_stop_is_told_with_the_time_that_it_may_take(self):
        with self.start("--drain-timeout", "90s") as daemon:
            self.manager.wait_for("READY")
            self.assertEqual(daemon.end(), 0)
            stopping = self.manager.wait_for("STOPPING")
            self.assertEqual(stopping["STATUS"], "Draining 0 requests")
            self.assertGreater(int(stopping["EXTEND_TIMEOUT_USEC"]), 90_000_000)

    def test_the_watchdog_hears_of_it_at_half_its_time(self):
        with self.start(WATCHDOG_USEC="1000000"):
            self.manager.wait_for("READY")
            self.assertTrue(self.manager.wait_for("WATCHDOG", 2))
            began = time.monotonic()
            for _ in range(4):
                self.assertTrue(self.manager.wait_for("WATCHDOG", 1), "later than the watchdog waits")
            self.assertGreater(time.monotonic() - began, 1.5)

    def test_without_a_watchdog_nothing_beats(self):
        with self.start():
            self.manager.wait_for("READY")
            self.assertIsNone(self.manager.wait_for("WATCHDOG", 0.5))

    def test_a_supervisor_that_hangs_is_silent(self):
        with self.start("--faults.admin_enabled=true", WATCHDOG_USEC="400000") as daemon:
            self.manager.wait_for("READY")
            self.assertTrue(self.manager.wait_for("WATCHDOG", 2))
            status, _ = daemon.request("PUT", "/v1/admin/faults",
                                       {"faults": ["actor.supervisor=1*delay(4000)", "actor.ingest=1*exit"]})
            self.assertEqual(status, 200)
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(daemon.request, "POST", "/v1/search", SEARCH)
                time.sleep(1)  # ingest dies of the request, and the supervisor hears of it
                self.manager.forget()
                self.assertIsNone(self.manager.wait_for("WATCHDOG", 1.5))
                self.assertEqual(daemon.request("GET", "/healthz")[0], 200)  # nobody else can tell
                self.assertTrue(self.manager.wait_for("WATCHDOG", 20))
                self.assertEqual(asked.result()[0], 200)

    def test_a_pipeline_that_gave_up_is_silent(self):
        with self.start("--supervisor.restart_intensity=2", WATCHDOG_USEC="400000",
                        ENGRAM_FAILPOINTS="actor.batcher=exit") as daemon:
            self.manager.wait_for("READY")
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 503)
            self.manager.forget()
            self.assertIsNone(self.manager.wait_for("WATCHDOG", 1))

    def test_the_watchdog_does_not_cut_a_drain_short(self):
        with self.start(WATCHDOG_USEC="400000", ENGRAM_FAILPOINTS="cpu.launch=delay(1500)") as daemon:
            self.manager.wait_for("READY")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(daemon.request, "POST", "/v1/search", SEARCH)
                while daemon.request("GET", "/readyz")[1]["in_flight"] == 0:
                    time.sleep(0.005)
                daemon.send(signal.SIGTERM)
                self.assertTrue(self.manager.wait_for("STOPPING"))
                for _ in range(3):
                    self.assertTrue(self.manager.wait_for("WATCHDOG", 0.4))
                self.assertEqual(asked.result()[0], 200)
            self.assertEqual(daemon.process.wait(timeout=PATIENCE), 0)

    def test_its_children_tell_nothing(self):
        with Daemon(self.store, "--gpu.devices", "sim:h100", NOTIFY_SOCKET=self.manager.path) as daemon:
            self.manager.wait_for("READY")
            self.assertEqual(daemon.end(), 0)
            self.assertTrue(self.manager.wait_for("STOPPING"))
        statuses = [told["STATUS"] for told in self.manager.heard]
        self.assertEqual(len(statuses), len(set(statuses)), statuses)


class DrainTimeout(CommandTest):
    def test_it_is_a_time_and_ends_the_wait(self):
        for text, seconds in (("300ms", 0.3), ("0.3", 0.3), ("0.005m", 0.3)):
            with Daemon(self.store, "--drain-timeout", text, ENGRAM_FAILPOINTS="cpu.launch=delay(20000)") as daemon:
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    asked = pool.submit(daemon.request, "POST", "/v1/search", SEARCH)
                    while daemon.request("GET", "/readyz")[1]["in_flight"] == 0:
                        time.sleep(0.005)
                    began = time.monotonic()
                    daemon.send(signal.SIGTERM)
                    status, answer = asked.result()
                    self.assertGreaterEqual(time.monotonic() - began, seconds)
                    self.assertEqual(status, 503)
                    self.assertIn("shutting_down", str(answer))
                    daemon.process.kill()  # the batch holds its thread for long

    def test_another_text_is_refused(self):
        for text in ("soon", "2h"):
            done = self.run_engram(2, "start", "--drain-timeout", text)
            self.assertTrue(re.search("drain_timeout_ms", done.stderr), done.stderr)


if __name__ == "__main__":
    unittest.main()
