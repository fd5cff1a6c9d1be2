#!/usr/bin/env python3
"""What can be said of deploy/ without Grafana, Kubernetes or a container engine, and with promtool and systemd-analyze."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import unittest

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "app"))
from engram_command import CommandTest, Daemon  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus").glob("*.recording.yml")) + sorted((DEPLOY / "prometheus").glob("*.alerts.yml"))
RULE_TESTS = sorted((DEPLOY / "prometheus" / "tests").glob("*.yml"))


def run(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=60)


def alerts():
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"]
            for rule in group["rules"] if "alert" in rule]


def anchors(page):
    """Returns the anchors of a Markdown page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}


class Rules(unittest.TestCase):
    def expect_success(self, *command):
        done = run(*command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_accepts_them_and_the_example_configuration(self):
        self.expect_success("promtool", "check", "rules", *RULES)
        self.expect_success("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")

    def test_their_own_tests_pass(self):
        self.expect_success("promtool", "test", "rules", *RULE_TESTS)

    def test_every_alert_has_a_case_that_fires_and_one_that_does_not(self):
        fires, silent = set(), set()
        for path in RULE_TESTS:
            for test in yaml.safe_load(path.read_text())["tests"]:
                for case in test["alert_rule_test"]:
                    (fires if case["exp_alerts"] else silent).add(case["alertname"])
        names = {rule["alert"] for rule in alerts()}
        self.assertEqual((names - fires, names - silent), (set(), set()))

    def test_every_alert_has_a_severity_and_a_page_to_read(self):
        for rule in alerts():
            self.assertIn(rule["labels"]["severity"], ("critical", "warning", "info"), rule["alert"])
            self.assertTrue(rule["annotations"]["summary"], rule["alert"])
            if not rule["alert"].startswith("Engram"):
                continue
            page, anchor = rule["annotations"]["runbook"].split("#")
            self.assertIn(anchor, anchors(ROOT / "docs" / page), rule["alert"])


class Dashboard(unittest.TestCase):
    board = json.loads((DEPLOY / "grafana" / "engram.json").read_text())

    def test_ids_are_unique_and_panels_do_not_overlap(self):
        panels = self.board["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            self.assertFalse(cells & taken, panel["title"])
            taken |= cells

    def test_everything_asks_the_data_source_that_was_chosen(self):
        chosen = {"type": "prometheus", "uid": "${datasource}"}
        variables = {each["name"]: each for each in self.board["templating"]["list"]}
        self.assertEqual(variables["datasource"]["type"], "datasource")
        for panel in self.board["panels"]:
            for part in [panel] * (panel["type"] != "row") + panel.get("targets", []):
                self.assertEqual(part["datasource"], chosen, panel["title"])
        used = set(re.findall(r"\$\{?(\w+)", json.dumps(self.board)))
        self.assertEqual({name for name in used if not name.startswith("__")}, set(variables))

    def test_it_can_be_imported_without_a_database_id(self):
        self.assertNotIn("id", self.board)
        self.assertTrue(self.board["uid"])
        for panel in self.board["panels"]:
            refs = [target["refId"] for target in panel.get("targets", [])]
            self.assertEqual(len(set(refs)), len(refs), panel["title"])


class Unit(unittest.TestCase):
    text = (DEPLOY / "systemd" / "engram.service").read_text()

    @unittest.skipUnless(shutil.which("systemd-analyze"), "there is no systemd-analyze")
    def test_systemd_has_nothing_to_say_against_it(self):
        with tempfile.TemporaryDirectory() as folder:
            unit = pathlib.Path(folder) / "engram.service"
            unit.write_text(self.text.replace("/usr/bin/engram", shutil.which("true")))
            verified = run("systemd-analyze", "verify", "--man=no", unit)
            self.assertEqual((verified.returncode, verified.stderr), (0, ""))
            security = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
            self.assertEqual(security.returncode, 0, security.stdout)

    def test_it_gives_a_drain_its_time(self):
        seconds = int(re.search(r"^TimeoutStopSec=(\d+)s$", self.text, re.MULTILINE)[1])
        drain = re.search(r"^#drain_timeout_ms = (\d+)$", (DEPLOY / "engram.toml").read_text(), re.MULTILINE)[1]
        self.assertGreater(seconds * 1000, int(drain))


class Configuration(CommandTest):
    def test_the_example_is_in_order_and_names_every_key(self):
        example = DEPLOY / "engram.toml"
        self.run_engram(0, "config", "check", example)
        self.assertEqual(self.run_engram(0, "config", "template").stdout, example.read_text(),
                         "mend: engram config template > deploy/engram.toml")
        section, named = "", set()
        for line in example.read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif re.match(r"#\w", line):
                named.add(f"{section}.{line[1:].split(' = ')[0]}")
        self.assertEqual(named, {key["key"] for key in self.run_json(0, "config", "show")["keys"]})


class Kubernetes(CommandTest):
    documents = {path.name: [part for part in yaml.safe_load_all(path.read_text()) if part]
                 for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))}

    def one(self, kind):
        found = [each for each in self.documents["engram.yaml"] if each["kind"] == kind]
        self.assertEqual(len(found), 1, kind)
        return found[0]

    def config(self):
        return self.one("ConfigMap")["data"]["engram.toml"]

    def test_the_configuration_is_in_order_and_its_ports_are_the_pod_s(self):
        file = self.folder / "map.toml"
        file.write_text(self.config())
        self.run_engram(0, "config", "check", file)
        values = tomllib.loads(self.config())["server"]
        pod = self.one("Deployment")["spec"]["template"]["spec"]
        ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
        self.assertEqual(ports, {"http": values["port"], "grpc": values["grpc_port"]})
        for port in self.one("Service")["spec"]["ports"]:
            self.assertEqual(ports[port["targetPort"]], port["port"])
        self.assertGreater(pod["terminationGracePeriodSeconds"] * 1000, values["drain_timeout_ms"] + 5000)

    def test_what_the_probes_and_prometheus_ask_is_answered(self):
        container = self.one("Deployment")["spec"]["template"]["spec"]["containers"][0]
        paths = {container[f"{which}Probe"]["httpGet"]["path"] for which in ("startup", "readiness", "liveness")}
        (monitor,) = self.documents["podmonitor.yaml"]
        paths |= {each["path"] for each in monitor["spec"]["podMetricsEndpoints"]}
        self.assertEqual(paths, {"/readyz", "/healthz", "/metrics"})
        with Daemon(self.store) as daemon:
            for path in paths:
                self.assertEqual(daemon.request("GET", path)[0], 200, path)

    def test_the_pod_may_do_little(self):
        pod = self.one("Deployment")["spec"]["template"]["spec"]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertIs(pod["enableServiceLinks"], False)
        own = pod["containers"][0]["securityContext"]
        self.assertTrue(own["readOnlyRootFilesystem"])
        self.assertFalse(own["allowPrivilegeEscalation"])
        self.assertEqual(own["capabilities"], {"drop": ["ALL"]})

    def test_everything_selects_the_same_pods(self):
        label = {"app.kubernetes.io/name": "engram"}
        deployment = self.one("Deployment")
        self.assertEqual(deployment["spec"]["template"]["metadata"]["labels"], label)
        self.assertEqual(self.one("Service")["spec"]["selector"], label)
        for selects in (deployment, self.one("PodDisruptionBudget"), self.documents["podmonitor.yaml"][0]):
            self.assertEqual(selects["spec"]["selector"], {"matchLabels": label})


class Container(unittest.TestCase):
    text = (DEPLOY / "container" / "Containerfile").read_text().replace("\\\n", " ")

    def test_what_it_copies_is_there(self):
        for line in re.findall(r"^COPY (?!--from)(.*)$", self.text, re.MULTILINE):
            for source in line.split()[:-1]:
                self.assertTrue((ROOT / source).exists(), source)

    def test_it_runs_as_nobody_in_particular_and_tells_its_health(self):
        self.assertRegex(self.text, r"(?m)^USER 970:970$")
        self.assertRegex(self.text, r"(?m)^HEALTHCHECK .*/healthz")
        self.assertGreater(self.text.index("\nUSER"), self.text.rindex("\nRUN"))

    def test_the_commands_that_are_printed_reach_the_daemon(self):
        pages = self.text + (ROOT / "docs" / "operations.md").read_text().replace("\\\n", " ")
        printed = [line for line in re.findall(r"^#? *podman run (.*)$", pages, re.MULTILINE) if "dataset import" not in line]
        self.assertGreaterEqual(len(printed), 3)
        for line in printed:  # the daemon listens on the loopback, and a container's own is nobody else's
            if " -p " in line:
                self.assertIn("--host 0.0.0.0", line)
                self.assertIn("--tokens-file", line)
            else:
                self.assertIn("--network host", line)

    @unittest.skipUnless(shutil.which("dpkg-query"), "not on Debian")
    def test_it_installs_every_library_that_the_command_needs(self):
        listed = set(re.search(r"no-install-recommends (.*?)&&", self.text)[1].split())
        needed = set()
        for library in re.findall(r"=> (/\S+)", run("ldd", os.environ["ENGRAM_COMMAND"]).stdout):
            owner = run("dpkg-query", "--search", os.path.realpath(library)).stdout.split(":")[0]
            needed |= {owner} if owner else set()
        have = set(listed)
        depends = run("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts",
                      "--no-breaks", "--no-replaces", "--no-enhances", *sorted(listed)).stdout
        have |= set(re.findall(r"^(\S+)$", depends, re.MULTILINE))
        self.assertEqual({name for name in needed if name not in have
                          and not re.match(r"lib(asan|ubsan|tsan)", name)}, set())


if __name__ == "__main__":
    unittest.main()
