#!/usr/bin/env python3
"""A real Prometheus scrapes a live daemon: every expression of the guide, the rules and the dashboard is asked."""

import array
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import time
import unittest
import urllib.parse
import urllib.request

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "app"))
from engram_command import PATIENCE, CommandTest, Daemon  # noqa: E402

ROWS, DIM = 4000, 128
DEPLOY = pathlib.Path(__file__).resolve().parent.parent.parent / "deploy"
# The tuning guide's, verbatim, and whether they return data; docs/operations.md has the same table.
GUIDE = {
    'nvidia_smi_utilization_gpu_ratio{gpu="0"}': "as it stands",
    'nvidia_smi_utilization_memory_ratio{gpu="0"}': "as it stands",
    "rate(engram_gpu_launch_total[5m])": "as it stands",
    "(rate(engram_gpu_launch_total[5m]) - rate(engram_gpu_fallback_total[5m])) / rate(engram_gpu_launch_total[5m])":
        "as it stands",
    "histogram_quantile(0.50, rate(engram_spreading_latency_bucket[5m]))": "as it stands",
    "histogram_quantile(0.99, rate(engram_spreading_latency_bucket[5m]))": "as it stands",
    "rate(engram_batch_size_bucket[5m])": "as it stands",
    "engram_gpu_speedup_derived < 3.0": "as it stands",
    "histogram_quantile(0.99, rate(engram_spreading_latency_bucket[5m])) > 100": "as it stands",
    # One side has the label gpu, the other the label device: alert LowGPUUtilization has the two matched.
    "nvidia_smi_utilization_gpu_ratio < 0.3 and rate(engram_gpu_launch_total[5m]) > 0": "never",
}
# True of a target that is not there, so without data here.
SILENT = {'absent(up{job="engram"})'}
# A threshold is for the rules' own tests: here what is compared has to be there.
THRESHOLD = re.compile(r"\s(?:==|!=|>=|<=|>|<)\s*(?:[\d.]+|\([\d.* ]+\))")


def unlimited(expression):
    return THRESHOLD.sub("", expression)


def rules():
    """Returns (name, expression) of every rule."""
    for path in sorted((DEPLOY / "prometheus").glob("*.yml")):
        for group in yaml.safe_load(path.read_text()).get("groups", []):
            for rule in group["rules"]:
                yield rule.get("alert") or rule["record"], rule["expr"]


def dashboard_expressions():
    """Returns the dashboard's expressions with its variables filled in, all panels' and annotations'."""
    board = json.loads((DEPLOY / "grafana" / "engram.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    found += [note["expr"] for note in board["annotations"]["list"] if "expr" in note]
    for expression in found:
        for variable, value in (("$__rate_interval", "5m"), ("$job", ".*"), ("$instance", ".*")):
            expression = expression.replace(variable, value)
        yield expression


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Prometheus:
    """Debian's Prometheus with our rules on a free port, which scrapes every second."""

    def __init__(self, folder, target):
        config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = open(folder / "prometheus.log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address={self.url.removeprefix('http://')}"], stdout=self.log, stderr=self.log)

    def __enter__(self):
        return self

    def __exit__(self, *trouble):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
        self.log.close()

    def get(self, path, **query):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=PATIENCE) as answer:
            return json.load(answer)["data"]

    def ask(self, expression):
        return self.get("/api/v1/query", query=expression)["result"]

    def wait_until(self, what):
        """Waits for `what` to hold; Prometheus has no way to tell."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.log.seek(0)
                raise AssertionError(f"Prometheus ended: {self.log.read()[-2000:]}")
            try:
                if what():
                    return
            except OSError:
                pass  # it does not listen yet
            time.sleep(0.2)
        raise AssertionError("Prometheus did not get there in time")


class LivePrometheus(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.import_what_is_worth_a_gpu()
        cls.daemon = Daemon(
            cls.store, "--gpu.devices", "sim:h100", "--gpu.gpu_min_batch_size", "1",
            "--gpu.thresholds.gpu_speedup_threshold", "1", "--gpu.verification.check_share", "1",
            "--faults.admin_enabled", "true", "--gpu.breaker.cool_down_ms", "1",
            LD_LIBRARY_PATH=os.environ["PRETENDED_NVML_FOLDER"])
        cls.addClassCleanup(cls.daemon.__exit__)
        cls.prometheus = Prometheus(cls.folder, cls.daemon.port)
        cls.addClassCleanup(cls.prometheus.__exit__)
        # A rate needs two scrapes, and a ratio of rates needs traffic between them.
        cls.prometheus.wait_until(lambda: cls.prometheus.ask("up == 1"))
        for number in range(1, 4):
            cls.send_traffic()
            cls.prometheus.wait_until(lambda seen=number: cls.seen_by_scrapes(seen))
        for setting, shows in (("gpu0.launch=50%return(transient)", "sum(engram_gpu_fallback_total) > 0"),
                               ("gpu0.launch=off; gpu0.result=50%corrupt", "sum(engram_gpu_wrong_answers_total) > 0")):
            cls.fault(setting)
            cls.prometheus.wait_until(lambda now=shows: cls.send_traffic() or cls.prometheus.ask(now))
        cls.fault("gpu0.result=off")
        cls.prometheus.wait_until(lambda: cls.prometheus.ask("instance_device:engram_gpu_fallback:ratio_rate5m > 0"))

    @classmethod
    def import_what_is_worth_a_gpu(cls):
        numbers = array.array("f", (random.Random(7).random() for _ in range(ROWS * DIM)))
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({ROWS}, {DIM}), }}".ljust(117) + "\n"
        (cls.folder / "many.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) +
                                              header.encode() + numbers.tobytes())
        done = cls.engram("dataset", "import", "many", cls.folder / "many.npy")
        assert done.returncode == 0, done.stderr

    @classmethod
    def seen_by_scrapes(cls, times):
        counted = cls.prometheus.ask("sum(engram_requests_total)")
        return bool(counted) and float(counted[0]["value"][1]) >= times * 20

    @classmethod
    def fault(cls, setting):
        status, answer = cls.daemon.request("PUT", "/v1/admin/faults", {"setting": setting})
        assert status == 200, answer

    @classmethod
    def send_traffic(cls):
        query = [1.0] * DIM
        for _ in range(5):
            for path, body in (
                    ("search", {"collection": "many", "queries": [query] * 4}),
                    ("spread", {"graph": "things-graph", "seeds": [{"node": 0}]}),
                    ("similarity", {"query": [1, 0], "targets": [[1, 0]]}),
                    ("score", {"collection": "many", "query": query, "ids": [0]})):
                status, answer = cls.daemon.request("POST", f"/v1/{path}", body)
                assert status == 200, answer

    def expect_data(self, expression, whose):
        with self.subTest(whose, expression=expression):
            self.assertTrue(self.prometheus.ask(expression), f"{whose} returns nothing: {expression}")

    def test_every_expression_of_the_guide_returns_data_or_is_known_not_to(self):
        for expression, how in GUIDE.items():
            if how == "never":
                self.assertEqual(self.prometheus.ask(unlimited(expression)), [])
            else:
                self.expect_data(unlimited(expression), "the guide")

    def test_every_rule_returns_data(self):
        for name, expression in rules():
            if expression in SILENT:
                self.assertEqual(self.prometheus.ask(expression), [])
            else:
                self.expect_data(unlimited(expression), name)

    def test_every_panel_of_the_dashboard_returns_data(self):
        for expression in dashboard_expressions():
            self.expect_data(unlimited(expression), "the dashboard")

    def test_every_rule_is_evaluated_without_trouble(self):
        for group in self.prometheus.get("/api/v1/rules")["groups"]:
            for rule in group["rules"]:
                self.assertEqual((rule["name"], rule["health"]), (rule["name"], "ok"), rule.get("lastError"))

    def test_a_wrong_answer_is_told_about(self):
        self.prometheus.wait_until(lambda: any(
            alert["labels"]["alertname"] == "EngramWrongAnswers" and alert["state"] == "firing"
            for alert in self.prometheus.get("/api/v1/alerts")["alerts"]))


if __name__ == "__main__":
    unittest.main()
