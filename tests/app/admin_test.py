"""Steering `engram start` over HTTP, and what the log keeps of it."""

import http.client
import json
import signal
import time
import unittest

from engram_command import PATIENCE, CommandTest, Daemon

SEARCH = {"collection": "things", "query": [0, 1], "k": 1, "deadline_ms": 30000}


class AdminTest(CommandTest):
    def start(self, *arguments, **variables):
        return Daemon(self.store, *arguments, **variables)

    def expect(self, daemon, status, words, method, path, body=None):
        """Asks, checks the status and the words of the answer, and returns it."""
        got, answer = daemon.request(method, path, body)
        self.assertEqual(got, status, answer)
        self.assertIn(words, str(answer))
        return answer


class Configuration(AdminTest):
    def test_a_reload_says_what_has_changed(self):
        file = self.folder / "live.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        with self.start("--gpu.enabled=false", "--config", file) as daemon:
            file.write_text("[batching]\nmax_wait_ms = 4.5\ntarget_batch_size = 7\n")
            answer = self.expect(daemon, 200, "4.5", "POST", "/v1/admin/reload")
            self.assertEqual(answer["changed"],
                             [{"key": "batching.max_wait_ms", "before": "3", "after": "4.5"},
                              {"key": "batching.target_batch_size", "before": "128", "after": "7"}])
            line = daemon.wait_for_log("admin reload")
            self.assertRegex(line, r"Z info    admin reload by 127\.0\.0\.1: done, batching\.max_wait_ms = 4\.5 "
                                   r"\(was 3\), batching\.target_batch_size = 7 \(was 128\)$")
            answer = self.expect(daemon, 200, "", "POST", "/v1/admin/reload")
            self.assertEqual(answer, {"changed": []})
            self.assertEqual(daemon.end(), 0)

    def test_a_reload_is_refused_whole_and_says_which_key_it_was(self):
        file = self.folder / "refused.toml"
        file.write_text("[batching]\nmax_wait_ms = 3\n")
        with self.start("--gpu.enabled=false", "--config", file) as daemon:
            for text, words in [
                ("[batching]\nmax_wait_ms = 5000\n", f"{file}:2"),
                ("[batching]\nmax_wait_ms = 5\n[server]\nthreads = 3\n", "server.threads"),
                ("[batching]\nmax_wait_ms = 5\nmistake = 1\n", "mistake"),
            ]:
                file.write_text(text)
                self.expect(daemon, 400, words, "POST", "/v1/admin/reload")
                self.assertIn(words, daemon.wait_for_log("admin reload by 127.0.0.1: refused, invalid_argument: "))
            file.unlink()
            self.expect(daemon, 404, "refused.toml", "POST", "/v1/admin/reload")
            file.write_text("[batching]\nmax_wait_ms = 4\n")
            daemon.send(signal.SIGHUP)
            daemon.wait_for_log("max_wait_ms = 4 (was 3)")


class Drain(AdminTest):
    def test_a_drain_answers_first_and_ends_the_process(self):
        with self.start("--gpu.enabled=false") as daemon:
            answer = self.expect(daemon, 202, "draining", "POST", "/v1/admin/drain")
            self.assertEqual(answer, {"state": "draining", "in_flight": 0})
            self.assertEqual(daemon.process.wait(timeout=PATIENCE), 0)
        self.assertTrue(any("admin drain by 127.0.0.1: begins, 0 requests" in line for line in daemon.log))
        self.assertTrue(any("admin API: draining 0 requests" in line for line in daemon.log))

    def test_a_second_one_does_not_cut_the_first_short(self):
        with self.start("--gpu.enabled=false", ENGRAM_FAILPOINTS="cpu.launch=delay(1500)") as daemon:
            slow = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
            slow.request("POST", "/v1/search", body=json.dumps(SEARCH))
            while daemon.request("GET", "/readyz")[1]["in_flight"] == 0:
                time.sleep(0.005)
            self.assertEqual(self.expect(daemon, 202, "", "POST", "/v1/admin/drain")["in_flight"], 1)
            self.expect(daemon, 202, "", "POST", "/v1/admin/drain")
            self.expect(daemon, 503, "draining", "GET", "/readyz")
            self.assertEqual(slow.getresponse().status, 200)
            slow.close()
            self.assertEqual(daemon.process.wait(timeout=PATIENCE), 0)

    def test_a_publication_that_does_not_end_holds_it_up_no_longer_than_the_drain_timeout(self):
        slow = {"ENGRAM_FAILPOINTS": "dataset.publish=delay(600000)"}
        with self.start("--gpu.enabled=false", "--drain-timeout=500ms", **slow) as daemon:
            publishing = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
            publishing.request("PUT", "/v1/admin/datasets/things")
            time.sleep(2)  # until it has begun; nothing shows that
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)
            began = time.monotonic()
            self.assertEqual(daemon.end(), 3)
            self.assertLess(time.monotonic() - began, 20)
            publishing.close()
        self.assertIn("a publication", daemon.log[-1])
        self.assertEqual(self.run_json(0, "dataset", "list")["datasets"][0]["name"], "things")


class Datasets(AdminTest):
    def test_versions_of_the_store_come_and_go(self):
        with self.start("--gpu.enabled=false", "--datasets.load=things") as daemon:
            answer = self.expect(daemon, 200, "", "PUT", "/v1/admin/datasets/things-graph")
            self.assertEqual((answer["name"], answer["version"], answer["kind"]), ("things-graph", 1, "graph"))
            answer = self.expect(daemon, 200, "", "PUT", "/v1/admin/datasets/things@1")
            self.assertEqual((answer["name"], answer["version"], answer["rows"]), ("things", 2, 4))
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 200)
            self.expect(daemon, 200, "things", "DELETE", "/v1/admin/datasets/things")
            self.assertEqual(daemon.request("POST", "/v1/search", SEARCH)[0], 404)
            for words in ["publish things-graph by 127.0.0.1: done, version 1",
                          "publish things@1 by 127.0.0.1: done, version 2", "drop things by 127.0.0.1: done"]:
                daemon.wait_for_log("admin " + words)

    def test_what_is_not_there_is_refused(self):
        with self.start("--gpu.enabled=false") as daemon:
            for status, method, name, words in [
                (404, "PUT", "nothing", "nothing"),
                (404, "PUT", "things@7", "version 7"),
                (400, "PUT", "things@x", "no version"),
                (400, "PUT", ".hidden", "is no dataset name"),
                (400, "PUT", "%0ainfo%20forged", "is no dataset name"),
                (404, "DELETE", "nothing", "nothing"),
            ]:
                self.expect(daemon, status, words, method, f"/v1/admin/datasets/{name}")
            self.assertEqual(len(daemon.request("GET", "/v1/datasets")[1]["datasets"]), 2)
            self.assertEqual(daemon.end(), 0)
        audited = [line for line in daemon.log if " admin " in line]
        self.assertEqual(len(audited), 6, daemon.log)
        self.assertFalse([line for line in daemon.log if line.startswith("info forged")], "one line each")


class Breaker(AdminTest):
    def test_an_override_shows_everywhere_until_it_is_lifted(self):
        with self.start("--gpu.devices=sim:h100", "--gpu.isolation=none") as daemon:
            path = "/v1/admin/devices/gpu0/breaker"
            answer = self.expect(daemon, 200, "", "PUT", path, {"override": "open"})
            self.assertEqual((answer["name"], answer["breaker"], answer["breaker_override"], answer["available"]),
                             ("gpu0", "open", "open", False))
            device = daemon.request("GET", "/readyz")[1]["devices"][1]
            self.assertEqual((device["breaker"], device["breaker_override"]), ("open", "open"))
            metrics = daemon.request("GET", "/metrics")[1]
            self.assertIn('engram_gpu_breaker_override{device="gpu0",override="open"} 1', metrics)
            daemon.wait_for_log("admin breaker of gpu0 open by 127.0.0.1: done, it is open")
            self.expect(daemon, 200, "automatic", "PUT", path, {"override": "automatic"})
            end = time.monotonic() + PATIENCE
            while not daemon.request("GET", "/readyz")[1]["devices"][1]["available"]:
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)
            for path, body, status, words in [
                (path, {"override": "shut"}, 400, "automatic, closed or open"),
                (path, {"override": 1}, 400, "must be a text"),
                (path, {"state": "open"}, 400, "override"),
                (path, {}, 400, "override"),
                (path, [], 400, "JSON object"),
                ("/v1/admin/devices/gpu9/breaker", {"override": "open"}, 404, "cpu, gpu0"),
                ("/v1/admin/devices/cpu/breaker", {"override": "open"}, 400, "no breaker"),
            ]:
                self.expect(daemon, status, words, "PUT", path, body)
            self.assertEqual(daemon.end(), 0)
        self.assertTrue([line for line in daemon.log if "override gpu0: automatic -> open" in line])


class LogLevel(AdminTest):
    def test_it_silences_what_is_less_important_but_not_the_audit(self):
        with self.start("--gpu.enabled=false", "--faults.admin_enabled=true") as daemon:
            path = "/v1/admin/log-level"
            self.assertEqual(self.expect(daemon, 200, "", "GET", path), {"level": "info"})
            self.assertEqual(self.expect(daemon, 200, "", "PUT", path, {"level": "error"}), {"level": "error"})
            daemon.request("PUT", "/v1/admin/faults", {"faults": ["cpu.launch=1%delay(1)"]})
            daemon.wait_for_log("admin faults cpu.launch=1%delay(1) by 127.0.0.1: done")
            time.sleep(0.3)  # events are looked for ten times a second
            self.assertEqual(self.expect(daemon, 200, "", "PUT", path, {"level": "debug"}), {"level": "debug"})
            daemon.request("DELETE", "/v1/admin/faults")
            daemon.wait_for_log("admin faults off by 127.0.0.1: done")
            self.expect(daemon, 400, "debug, info, warning or error", "PUT", path, {"level": "loud"})
            self.assertEqual(daemon.end(), 0)
        self.assertFalse([line for line in daemon.log if "fault cpu.launch: " in line])


class Closed(AdminTest):
    def test_it_can_be_closed(self):
        with self.start("--gpu.enabled=false", "--server.admin_api=false") as daemon:
            self.expect(daemon, 403, "server.admin_api", "POST", "/v1/admin/drain")
            daemon.wait_for_log("admin POST /v1/admin/drain by 127.0.0.1: refused")
            self.assertEqual(daemon.request("GET", "/readyz")[0], 200)
            self.assertEqual(daemon.end(), 0)

    def test_pages_of_other_sites_cannot_steer_it_through_a_browser(self):
        with self.start("--gpu.enabled=false") as daemon:
            for headers, status in [
                ({"Origin": "http://elsewhere.example"}, 403),
                ({"Origin": "null"}, 403),
                ({"Sec-Fetch-Site": "cross-site"}, 403),
                ({"Host": "rebound.example", "Origin": "http://rebound.example"}, 403),
                ({"Host": f"localhost:{daemon.port}", "Origin": f"http://localhost:{daemon.port}"}, 200),
                ({"Origin": f"http://127.0.0.1:{daemon.port}", "Sec-Fetch-Site": "same-origin"}, 200),
            ]:
                connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
                connection.request("POST", "/v1/admin/reload", headers=headers)
                self.assertEqual(connection.getresponse().status, status, headers)
                connection.close()


if __name__ == "__main__":
    unittest.main()
