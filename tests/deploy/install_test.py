#!/usr/bin/env python3
"""What `cmake --install --component runtime` lays down is what a package needs, and runs from there."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXPECTED = {
    "bin/engram", "etc/engram/engram.toml", "lib/systemd/system/engram.service", "lib/sysusers.d/engram.conf",
    "lib/tmpfiles.d/engram.conf", "share/doc/engram/operations.md", "share/engram/grafana/engram.json",
    "share/engram/kubernetes/engram.yaml", "share/engram/prometheus/engram.alerts.yml",
    "share/engram/prometheus/engram.recording.yml", "share/engram/prometheus/prometheus.yml",
    "share/engram/scenarios/demo.toml", "share/man/man1/engram.1"}


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.tree = pathlib.Path(folder.name)
        subprocess.run([os.environ["CMAKE"], "--install", os.environ["BUILD_DIR"], "--component", "runtime", "--strip",
                        "--prefix", cls.tree], check=True, stdout=subprocess.DEVNULL, timeout=60)
        cls.files = {str(path.relative_to(cls.tree)) for path in cls.tree.rglob("*") if path.is_file()}

    def test_all_of_it_is_there_and_nothing_for_developers(self):
        self.assertEqual(EXPECTED - self.files, set())
        self.assertFalse([name for name in self.files if re.search(r"\.(a|hpp|cmake)$|/tests/", name)])

    def test_the_command_runs_and_likes_its_configuration(self):
        for arguments in (["--version"], ["config", "check", self.tree / "etc/engram/engram.toml"]):
            subprocess.run([self.tree / "bin/engram", *arguments], check=True, stdout=subprocess.DEVNULL, timeout=60)

    def test_the_unit_starts_the_command_with_that_configuration(self):
        unit = (self.tree / "lib/systemd/system/engram.service").read_text()
        self.assertRegex(unit, r"(?m)^ExecStart=/\S+/bin/engram start --config /\S*etc/engram/engram\.toml$"
                               if "/usr/bin" not in unit else
                               r"(?m)^ExecStart=/usr/bin/engram start --config /etc/engram/engram\.toml$")

    def test_the_package_calls_no_other_file_its_configuration(self):
        conffiles = (ROOT / "deploy" / "debian" / "conffiles").read_text().split()
        self.assertEqual(set(conffiles), {f"/{name}" for name in self.files if name.startswith("etc/")})


if __name__ == "__main__":
    unittest.main()
