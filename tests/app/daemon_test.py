"""`engram start`: what it serves, and how it answers signals."""

import concurrent.futures
import datetime
import os
import pathlib
import signal
import socket
import subprocess
import time
import unittest

from engram_command import COMMAND, PATIENCE, CommandTest, Daemon, clean_environment

SEARCH = {"collection": "things", "query": [0, 1], "k": 1, "deadline_ms": 30000}
# Every batch takes this long, so that a signal finds requests in flight.
SLOW = {"ENGRAM_FAILPOINTS": "cpu.launch=delay(400)"}


def children_of(pid):
    """Returns number and name of each child process."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = file.read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        number, rest = text.split(" (", 1)
        name, rest = rest.rsplit(") ", 1)
        if int(rest.split()[1]) == pid:
            found.append((int(number), name))
    return sorted(found)


class Serving(CommandTest):
    def test_it_announces_itself_and_serves_the_store(self):
        with Daemon(self.store, "--server.threads=4") as daemon:
            self.assertIn('"datasets":2', daemon.ready)
            status, answer = daemon.request("POST", "/v1/search", SEARCH)
            self.assertEqual((status, answer["results"][0]["hits"][0]["label"]), (200, "north"))
            status, answer = daemon.request("POST", "/v1/spread", {"graph": "things", "seeds": [{"label": "east"}]})
            self.assertEqual((status, answer["results"][0]["hits"][0]["node"]), (200, 0))
            self.assertEqual(daemon.request("GET", "/readyz")[0], 200)
            self.assertEqual(daemon.request("GET", "/healthz")[0], 200)
            self.assertIn("engram_requests_total", daemon.request("GET", "/metrics")[1])
            self.assertEqual(daemon.end(), 0)

    def test_faults_are_armed_over_http_where_the_configuration_allows_it(self):
        with Daemon(self.store, "--faults.admin_enabled", "true") as daemon:
            status, _ = daemon.request("PUT", "/v1/admin/faults", {"faults": ["http.accept=1*return"]})
            self.assertEqual(status, 200)
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 503)
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)
            self.assertEqual(daemon.request("PUT", "/v1/admin/faults", {"faults": ["no.site=off"]})[0], 404)
            listed = daemon.request("DELETE", "/v1/admin/faults")[1]["faults"]
            self.assertEqual({each["site"]: each["fired"] for each in listed if each["fired"]}, {"http.accept": 1})
            self.assertEqual(daemon.end(), 0)
        with Daemon(self.store) as daemon:
            status, answer = daemon.request("PUT", "/v1/admin/faults", {"faults": ["http.accept=return"]})
            self.assertEqual(status, 403)
            self.assertIn("faults.admin_enabled", answer["detail"])
            self.assertEqual(daemon.end(), 0)

    def test_metrics_show_what_nvml_tells(self):
        with Daemon(self.store, LD_LIBRARY_PATH=os.environ["PRETENDED_NVML_FOLDER"]) as daemon:
            lines = []
            for _ in range(100):  # the first sample may still be on its way
                lines = [each for each in daemon.request("GET", "/metrics")[1].splitlines()
                         if each.startswith("nvidia_smi_")]
                if lines:
                    break
                time.sleep(0.1)
            self.assertEqual(daemon.end(), 0)
        for line in ['nvidia_smi_utilization_gpu_ratio{gpu="0"} 0.37',
                     'nvidia_smi_utilization_memory_ratio{gpu="0"} 0.12',
                     'nvidia_smi_temperature_celsius{gpu="0"} 61',
                     'nvidia_smi_power_draw_watts{gpu="0"} 312.5',
                     'nvidia_smi_clocks_current_sm_clock_hz{gpu="0"} 1410000000',
                     'nvidia_smi_throttle_reason{gpu="0",reason="sw_power_cap"} 1']:
            self.assertIn(line, lines)
        self.assertFalse([line for line in lines if 'gpu="1"' in line and "gpu_info" not in line])

    def test_nvml_is_not_asked_where_gpus_are_switched_off(self):
        for settings in [["--gpu.enabled", "false"], ["--gpu.telemetry.telemetry_enabled", "false"]]:
            with Daemon(self.store, *settings, LD_LIBRARY_PATH=os.environ["PRETENDED_NVML_FOLDER"]) as daemon:
                time.sleep(0.3)  # what is loaded is loaded by a thread that does not hold the start up
                with open(f"/proc/{daemon.process.pid}/maps", encoding="utf-8") as maps:
                    self.assertNotIn("libnvidia-ml", maps.read())
                self.assertEqual(daemon.end(), 0)

    def test_it_ends_in_time_while_nvml_hangs(self):
        with Daemon(self.store, LD_LIBRARY_PATH=os.environ["PRETENDED_NVML_FOLDER"],
                    PRETENDED_NVML="hangs") as daemon:
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)
            self.assertNotIn("nvidia_smi_", daemon.request("GET", "/metrics")[1])
            self.assertEqual(daemon.end(), 0)

    def test_it_loads_only_what_it_is_told_to(self):
        with Daemon(self.store, "--datasets.load", "things@1") as daemon:
            names = [each["name"] for each in daemon.request("GET", "/v1/datasets")[1]["datasets"]]
            self.assertEqual(names, ["things"])

    def test_a_dataset_that_is_not_there_ends_it_with_3(self):
        done = self.engram("start", "--port", "0", "--datasets.load", "nothing")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], '^engram: dataset "nothing" cannot be loaded')

    def test_a_taken_port_is_one_sentence_and_3(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            done = self.run_engram(3, "start", "--port", port)
            self.assertEqual(done.stderr.splitlines(),
                             [f"engram: address 127.0.0.1:{port} is taken by another program: "
                              "stop it or choose another port"])

    def test_an_unusable_fault_setting_ends_it_with_2(self):
        done = self.engram("start", "--port", "0", ENGRAM_FAILPOINTS="nowhere=return(oom)")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertRegex(done.stderr.splitlines()[-1], "^engram: ENGRAM_FAILPOINTS: .*nowhere")


class Events(CommandTest):
    """What happens in the pipeline is one line of the log each."""

    def assert_is_now(self, line):
        stamp, _ = line.split(" ", 1)
        self.assertRegex(stamp, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(stamp[:-1] + "+00:00")
        self.assertLess(abs(age.total_seconds()), PATIENCE)

    def test_publications_faults_and_restarts_are_logged(self):
        with Daemon(self.store, "--gpu.enabled=false", "--faults.admin_enabled=true", TZ="Asia/Tokyo") as daemon:
            self.assert_is_now(daemon.wait_for_log(" info    publish things: version 1 on cpu"))
            daemon.request("PUT", "/v1/admin/faults", {"faults": ["actor.batcher=1*exit"]})
            daemon.wait_for_log(" info    fault actor.batcher: actor.batcher=1*exit")
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)
            self.assert_is_now(daemon.wait_for_log(" warning restart batcher: died, starts again"))
            self.assertEqual(daemon.end(), 0)
        self.assertEqual(len([line for line in daemon.log if "restart batcher" in line]), 1)
        self.assertIn("stopped: 1 requests accepted", daemon.log[-1])

    def test_a_gpu_that_is_lost_and_comes_back_is_logged(self):
        with Daemon(self.store, "--gpu.devices", "sim:h100") as daemon:
            daemon.wait_for_log("publish things: version 1 on cpu gpu0")
            for pid, name in children_of(daemon.process.pid):
                if name == "gpu0-runner":  # the one that serves, and the standby
                    os.kill(pid, signal.SIGKILL)
            self.assert_is_now(daemon.wait_for_log(" warning device gpu0: lost (exit): gpu0 lost its runner"))
            missing = {" info    device gpu0: restored (", " warning breaker gpu0: closed -> open: exit",
                       " info    breaker gpu0: half_open -> closed: "}
            while missing:
                line = daemon.wait_for_log("gpu0: ")
                missing = {words for words in missing if words not in line}
            self.assertEqual(daemon.end(), 0)


class Signals(CommandTest):
    def ask_and_signal(self, daemon, number, requests=8):
        """Returns the answers to requests that were in flight when the signal came."""
        with concurrent.futures.ThreadPoolExecutor(requests) as pool:
            asked = [pool.submit(daemon.request, "POST", "/v1/search", SEARCH) for _ in range(requests)]
            self.wait_for_in_flight(daemon, requests)
            daemon.send(number)
            return [each.result() for each in asked]

    def wait_for_in_flight(self, daemon, count):
        for _ in range(2000):
            if daemon.request("GET", "/readyz")[1]["in_flight"] >= count:
                return
            time.sleep(0.005)
        self.fail("the requests never arrived")

    def test_a_signal_drains_what_is_in_flight(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Daemon(self.store, **SLOW) as daemon:
                answers = self.ask_and_signal(daemon, number)
                self.assertEqual([status for status, _ in answers], [200] * 8)
                self.assertEqual(daemon.process.wait(timeout=30), 0)

    def test_while_it_drains_it_is_alive_but_not_ready_and_refuses(self):
        with Daemon(self.store, ENGRAM_FAILPOINTS="cpu.launch=delay(1000)") as daemon:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(daemon.request, "POST", "/v1/search", SEARCH)
                self.wait_for_in_flight(daemon, 1)
                daemon.send(signal.SIGTERM)
                daemon.wait_for_log("draining")
                status = 200
                while status == 200:
                    status, readiness = daemon.request("GET", "/readyz")
                self.assertEqual((status, readiness["state"]), (503, "draining"))
                self.assertEqual(daemon.request("GET", "/healthz")[0], 200)
                status, refused = daemon.request("POST", "/v1/search", SEARCH)
                while status == 200:  # taken before the pipeline closed
                    status, refused = daemon.request("POST", "/v1/search", SEARCH)
                self.assertEqual((status, refused["code"]), (503, "shutting_down"))
                self.assertEqual(asked.result()[0], 200)
            self.assertEqual(daemon.process.wait(timeout=30), 0)

    def test_a_second_signal_ends_it_at_once(self):
        with Daemon(self.store, ENGRAM_FAILPOINTS="cpu.launch=delay(20000)") as daemon:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(daemon.request, "POST", "/v1/search", SEARCH)
                self.wait_for_in_flight(daemon, 1)
                began = time.monotonic()
                daemon.send(signal.SIGINT)
                daemon.wait_for_log("draining")
                self.assertEqual(daemon.end(signal.SIGINT), 3)
                self.assertLess(time.monotonic() - began, 5)
                self.assertIsNotNone(asked.exception())

    def start_slowly(self, *arguments, host):
        """Returns a daemon that is opening a GPU by running the shell script `host`."""
        begun, program = self.folder / "begun", self.folder / "slow-host"
        begun.unlink(missing_ok=True)
        program.write_text(f"#!/bin/sh\ntouch {begun}\n{host}\n")
        program.chmod(0o755)
        process = subprocess.Popen(
            [COMMAND, "start", "--port", "0", "--gpu.devices", "sim:h100", "--gpu.host.program", program,
             "--gpu.host.start_timeout_ms=60000", *arguments],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=clean_environment(ENGRAM_DATA_DIR=str(self.store)))
        self.addCleanup(lambda: process.poll() is None and process.kill())
        end = time.monotonic() + PATIENCE
        while not begun.exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)
        return process

    def test_a_signal_while_a_gpu_is_being_opened_ends_it_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.start_slowly(host=f"exec cat <&3 >{os.devnull}")  # until its socket ends
            began = time.monotonic()
            process.send_signal(number)
            out, log = process.communicate(timeout=PATIENCE)
            self.assertLess(time.monotonic() - began, 10)
            self.assertEqual((process.returncode, out), (0, ""), log)
            self.assertIn(f"{number.name}: ending before the devices were opened", log)

    def test_sighup_before_it_is_ready_is_heeded_when_it_is(self):
        file = self.folder / "early.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        process = self.start_slowly("--config", file, host=f'sleep 1; exec {COMMAND} "$@"')
        file.write_text("[batching]\nmax_wait_ms = 4.5\n")
        process.send_signal(signal.SIGHUP)
        self.assertIn("engram is ready", process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, log)
        self.assertIn("batching.max_wait_ms = 4.5 (was 3)", log)

    def test_sighup_takes_a_good_configuration(self):
        file = self.folder / "live.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        with Daemon(self.store, "--config", file) as daemon:
            file.write_text("[batching]\nmax_wait_ms = 4.5\n")
            daemon.send(signal.SIGHUP)
            self.assertIn("batching.max_wait_ms = 4.5 (was 3)", daemon.wait_for_log("was 3"))
            daemon.wait_for_log("in effect")
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)
            self.assertEqual(daemon.end(), 0)

    def test_sighup_refuses_a_bad_configuration_whole(self):
        file = self.folder / "refused.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        with Daemon(self.store, "--config", file) as daemon:
            for text, words in [
                ("[batching]\nmax_wait_ms = 5000\n", f"{file}:2"),
                ("[batching]\nmax_wait_ms = 5\n[server]\nthreads = 3\n", "server.threads"),
                ("[batching]\nmax_wait_ms = 5\n[gpu]\nstreams = 3\n", "gpu.streams"),
            ]:
                file.write_text(text)
                daemon.send(signal.SIGHUP)
                self.assertIn(words, daemon.wait_for_log("stays as it was"))
            file.write_text("[batching]\nmax_wait_ms = 4\n")
            daemon.send(signal.SIGHUP)
            daemon.wait_for_log("max_wait_ms = 4 (was 3)")
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)


class Death(CommandTest):
    def test_actors_that_keep_dying_leave_it_running_and_unhealthy(self):
        with Daemon(self.store, "--supervisor.restart_intensity=2",
                    ENGRAM_FAILPOINTS="actor.batcher=exit") as daemon:
            status, answer = daemon.request("POST", "/v1/search", SEARCH)
            self.assertEqual((status, answer["code"]), (503, "unavailable"))
            self.assertEqual(daemon.request("GET", "/healthz"), (503, {"live": False, "state": "unavailable"}))
            self.assertIsNone(daemon.process.poll())
            self.assertEqual(daemon.end(), 0)

    def test_the_death_of_the_supervisor_ends_it_with_one_sentence_and_3(self):
        with Daemon(self.store, ENGRAM_FAILPOINTS="actor.supervisor=exit;actor.ingest=exit") as daemon:
            status, answer = daemon.request("POST", "/v1/search", SEARCH)
            self.assertEqual((status, answer["code"]), (503, "unavailable"))
            self.assertEqual(daemon.process.wait(timeout=30), 3)
        said = [line for line in daemon.log if line.startswith("engram: ")]
        self.assertEqual(len(said), 1, daemon.log)
        self.assertIn("supervisor of the actors died", said[0])


if __name__ == "__main__":
    unittest.main()
