#!/usr/bin/env python3
"""What a person meets at gpu_fault_recovery: a table of simulated faults, JSON, one sentence for bad input."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["GPU_FAULT_RECOVERY"]
ENGRAM = os.environ["ENGRAM"]
SMALL = ["--gpu", "sim:h100", "--engram", ENGRAM, "--rows", "500", "--dim", "16", "--rate", "300", "--seconds", "0.2",
         "--cpu-threads", "1"]
IN_PROCESS = ["--isolation", "none"]


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
        self.assertIn("--isolation process", self.refused(*SMALL, *IN_PROCESS, "--faults", "kill_owner"))
        self.assertIn("sim:banana", self.refused("--gpu", "sim:banana", "--isolation", "none", "--faults", "sticky"))

    def check_faults(self, faults, *arguments):
        """Runs `faults`, [(name, times)], and returns their rows when no request was harmed."""
        plans = ",".join(f"{name}:{times}" for name, times in faults)
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "faults.json"
            ran = run_it(*SMALL, *arguments, "--faults", plans, "--json", str(file))
            self.assertEqual(0, ran.returncode, ran.stdout + ran.stderr)
            run = json.loads(file.read_text())
        self.assertIn("SIMULATED", ran.stdout)
        self.assertTrue(run["gpu"]["simulated"])
        self.assertEqual(faults, [(row["fault"], row["happened"]) for row in run["faults"]])
        for row in run["faults"]:
            self.assertIn(row["fault"], ran.stdout)
            self.assertGreater(row["sent"], 300)
            self.assertGreater(row["by_gpu"], 0)
            for count in ("lost", "duplicated", "wrong", "errors"):
                self.assertEqual(0, row[count], row)
            self.assertEqual([], row["shortcomings"])
            self.assertEqual(row["happened"] - row["unseen"], len(row["back_seconds"]))
        return run["faults"]

    def test_faults_in_this_process_cost_no_request(self):
        for row in self.check_faults([("sticky", 2), ("hang/cold", 1)], *IN_PROCESS):
            self.assertEqual(0, row["unseen"])

    def test_deaths_of_child_processes_cost_no_request(self):
        for row in self.check_faults([("sticky", 2), ("exit/cold", 1), ("kill_runner", 2), ("kill_owner", 1)]):
            if row["fault"] != "kill_owner":
                self.assertEqual(0, row["unseen"], row)


if __name__ == "__main__":
    unittest.main()
