#!/usr/bin/env python3
"""What a person meets at gpu_fault_recovery: a table of simulated faults, JSON, one sentence for bad input."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["GPU_FAULT_RECOVERY"]
SMALL = ["--gpu", "sim:h100", "--isolation", "none", "--rows", "500", "--dim", "16", "--rate", "300", "--seconds", "0.2",
         "--cpu-threads", "1"]


def run_it(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=240, check=False)


class Program(unittest.TestCase):
    def refused(self, *arguments):
        ran = run_it(*arguments)
        self.assertEqual(2, ran.returncode, ran.stdout + ran.stderr)
        self.assertEqual("", ran.stdout)
        self.assertEqual(1, len(ran.stderr.strip().splitlines()), ran.stderr)
        return ran.stderr

    def test_bad_input_is_refused_in_one_sentence(self):
        self.assertIn("illegal_address", self.refused(*SMALL, "--faults", "nonsense"))
        self.assertIn("no kernels", self.refused(*SMALL, "--faults", "trap"))
        self.assertIn("--isolation process", self.refused(*SMALL, "--faults", "kill_owner"))
        self.assertIn("sim:banana", self.refused("--gpu", "sim:banana", "--isolation", "none", "--faults", "sticky"))

    def test_simulated_faults_cost_no_request(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "faults.json"
            ran = run_it(*SMALL, "--faults", "sticky:2,hang/cold:1", "--json", str(file))
            self.assertEqual(0, ran.returncode, ran.stdout + ran.stderr)
            run = json.loads(file.read_text())
        self.assertIn("SIMULATED", ran.stdout)
        self.assertTrue(run["gpu"]["simulated"])
        self.assertEqual([("sticky", 2), ("hang/cold", 1)], [(row["fault"], row["happened"]) for row in run["faults"]])
        for row in run["faults"]:
            self.assertIn(row["fault"], ran.stdout)
            self.assertGreater(row["sent"], 300)
            self.assertGreater(row["by_gpu"], 0)
            for count in ("lost", "duplicated", "wrong", "errors"):
                self.assertEqual(0, row[count], row)
            self.assertEqual(row["happened"], len(row["back_seconds"]))
            self.assertEqual([], row["shortcomings"])


if __name__ == "__main__":
    unittest.main()
