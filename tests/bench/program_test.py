#!/usr/bin/env python3
"""What a person meets at gpu_performance_validation and at the peers' comparison: words, files, exit codes."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.environ["GPU_PERFORMANCE_VALIDATION"]
PEERS = pathlib.Path(os.environ["ENGRAM_PEERS"])
SIMULATED = ["--gpu", "sim:h100", "--repeats", "5", "--seconds", "0.02", "--cpu-threads", "1"]


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_it(self, *arguments):
        environment = {key: value for key, value in os.environ.items() if key != "ENGRAM_ISA"}
        environment["XDG_STATE_HOME"] = str(self.folder / "state")
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=120, cwd=self.folder,
                              env=environment, check=False)

    def refused(self, *arguments):
        ran = self.run_it(*arguments)
        self.assertEqual(2, ran.returncode, ran.stdout + ran.stderr)
        self.assertEqual("", ran.stdout)
        self.assertEqual(1, len(ran.stderr.strip().splitlines()), ran.stderr)
        return ran.stderr

    def measured(self, *arguments):
        ran = self.run_it(*SIMULATED, *arguments)
        self.assertEqual(0, ran.returncode, ran.stdout + ran.stderr)
        return ran


class Listing(Case):
    def test_a_filter_with_a_slash_names_one_size(self):
        ran = self.run_it("--list", "cosine_similarity_cpu_vs_gpu/128")
        self.assertEqual("cosine_similarity_cpu_vs_gpu/128\n", ran.stdout)

    def test_a_filter_may_follow_a_baseline(self):
        ran = self.run_it("--list", "--baseline", "current", "score_cpu_vs_gpu/16")
        self.assertEqual("score_cpu_vs_gpu/16\n", ran.stdout)

    def test_large_cases_want_full_or_a_filter(self):
        self.assertNotIn("1000000", self.run_it("--list").stdout)
        self.assertIn("search/4000000x768/bf16/q64\n", self.run_it("--list", "--full").stdout)
        self.assertEqual("search/4000000x768/bf16/q64\n", self.run_it("--list", "search/4000000x768").stdout)


class BadInput(Case):
    def test_is_refused_in_one_sentence(self):
        self.assertIn('"nonsense"', self.refused("nonsense"))
        self.assertIn("names no GPU", self.refused("--gpu", "banana"))
        self.assertIn("names no GPU", self.refused("--gpu", "cuda:x"))
        self.assertIn("sim:h100", self.refused("--gpu", "sim:h999"))
        self.assertIn("there is none", self.refused("--baseline", "missing", "--gpu", "sim:h100"))
        self.assertIn("cannot name a baseline", self.refused("--baseline", "../x", "--baseline", "b"))
        self.assertIn("cannot name a baseline", self.refused("--save-baseline", "a/b", *SIMULATED, "score"))
        self.assertIn("At most two", self.refused("--baseline", "a", "--baseline", "b", "--baseline", "c"))
        self.assertIn("run nothing", self.refused("--baseline", "a", "--baseline", "b", "--json", "x"))

    def test_of_the_command_line_ends_with_2(self):
        for wrong in (["--repeats", "0"], ["--repeats", "x"], ["--seconds", "-1"], ["--no-such"]):
            self.assertEqual(2, self.run_it(*wrong).returncode, wrong)

    def test_a_json_file_that_cannot_be_written_says_so(self):
        wrong = self.refused(*SIMULATED, "score_cpu_vs_gpu/16", "--json", str(self.folder / "no" / "such.json"))
        self.assertIn("cannot be written", wrong)

    def test_a_missing_gpu_is_one_sentence(self):
        if pathlib.Path("/proc/driver/nvidia/version").exists():
            self.skipTest("this machine has one")
        self.refused("--gpu", "cuda:0", "score_cpu_vs_gpu/16")


class Measuring(Case):
    def test_the_guide_s_lines_are_there_and_say_simulated(self):
        text = self.measured("cosine_similarity_cpu_vs_gpu/16", "cosine_similarity_cpu_vs_gpu/128").stdout
        self.assertIn("(128 vectors):", text)
        for begin in ("  CPU: ", "  GPU: ", "  Speedup: ", "  Break-even: ", "├─ Kernel Execution: ", "Bottleneck: "):
            self.assertTrue(any(line.startswith(begin) for line in text.splitlines()), begin)
        for line in text.splitlines():
            if line.startswith(("  GPU: ", "  Speedup: ", "  Break-even: ")):
                self.assertIn("(simulated)", line)

    def test_json_on_standard_output_is_alone_there(self):
        ran = self.measured("score_cpu_vs_gpu/16", "spread_hop/10000/B1", "--json", "-")
        run = json.loads(ran.stdout)
        self.assertIn("Score", ran.stderr)
        self.assertTrue(run["gpu"]["simulated"])
        score, hop = run["cases"]
        self.assertEqual("score_cpu_vs_gpu/16", score["name"])
        self.assertEqual(5, len(score["seconds"]["kernel"]))
        self.assertGreater(score["p99_seconds"]["cpu"], 0)
        self.assertGreater(hop["figures"]["kernel_seconds_per_hop"], 0)
        self.assertNotIn("cpu", hop["seconds"])

    def test_every_operation_runs_and_agrees_with_the_cpu(self):
        ran = self.measured("cosine_search_resident/512", "search_batch_cpu_vs_gpu/4", "score_cpu_vs_gpu/16",
                            "activation_spreading_cpu_vs_gpu/1000", "spread_batch_cpu_vs_gpu/4", "search/10240x768/bf16")
        self.assertNotIn("TROUBLE", ran.stdout)

    def test_without_the_cpu_there_is_no_speedup(self):
        text = self.measured("--skip-cpu", "score_cpu_vs_gpu/16").stdout
        self.assertNotIn("Speedup", text)
        self.assertIn("  GPU: ", text)


class Baselines(Case):
    def test_one_is_compared_with_a_new_run_and_two_without_running(self):
        self.measured("score_cpu_vs_gpu/16", "--save-baseline", "current")
        self.assertTrue((self.folder / "state" / "engram" / "baselines" / "current.json").exists())
        ran = self.run_it(*SIMULATED, "score_cpu_vs_gpu/16", "--baseline", "current", "--save-baseline", "new_config")
        self.assertIn(ran.returncode, (0, 1), ran.stderr)
        self.assertRegex(ran.stdout, r"score_cpu_vs_gpu/16 +cpu .* (improved|unchanged|regressed)\n")
        saved = self.run_it("--baseline", "current", "--baseline", "new_config")
        self.assertRegex(saved.stdout, r"score_cpu_vs_gpu/16 +kernel .* 2\.0 % +unchanged\n")
        self.assertNotIn("CPU:", saved.stdout)

    def test_a_regression_ends_with_1_and_names_its_line(self):
        self.measured("score_cpu_vs_gpu/16", "--save-baseline", "before", "--baseline-dir", "here")
        file = self.folder / "here" / "before.json"
        run = json.loads(file.read_text())
        for series in run["cases"][0]["seconds"]:
            run["cases"][0]["seconds"][series] = [1e-3] * 5
        file.write_text(json.dumps(run))
        run["cases"][0]["seconds"]["gpu"] = [2e-3] * 5
        (self.folder / "here" / "after.json").write_text(json.dumps(run))
        there = ["--baseline-dir", "here", "--baseline"]
        ran = self.run_it(*there, "before", "--baseline", "after")
        self.assertEqual(1, ran.returncode, ran.stdout + ran.stderr)
        self.assertRegex(ran.stdout, r" gpu .* \+100\.0 % .* 2\.0 %  regressed\n")
        ran = self.run_it(*there, "after", "--baseline", "before")
        self.assertEqual(0, ran.returncode)
        self.assertRegex(ran.stdout, r" gpu .* -50\.0 % .* 2\.0 %  improved\n")

    def test_a_corrupt_one_is_refused(self):
        (self.folder / "here").mkdir()
        (self.folder / "here" / "broken.json").write_text('{"format":')
        self.assertIn("unusable", self.refused("--baseline-dir", "here", "--baseline", "broken", *SIMULATED, "score"))


class Peers(Case):
    """Sets made-up runs side by side: what is judged is the judgement."""

    def write(self, name, what):
        path = self.folder / name
        path.write_text(json.dumps(what))
        return str(path)

    def ours(self, kernels, simulated=False, hop=None):
        cases = [{"name": name, "seconds": {"kernel": [seconds] * 3}, "figures": {}, "trouble": ""}
                 for name, seconds in kernels.items()]
        if hop:
            cases.append({"name": "spread_hop/10000/B8", "seconds": {}, "trouble": "", "figures": {
                "kernel_seconds_per_hop": hop, "marginal_kernel_seconds_per_hop": hop}})
        return self.write("ours.json", {"format": "engram gpu_performance_validation", "commit": "abc", "cases": cases,
                                        "gpu": {"model": "NVIDIA H100 80GB HBM3", "simulated": simulated}})

    def torch(self, *names):
        return self.write("torch.json", {
            "format": "engram peer", "peer": "torch", "machine": {"gpu": "NVIDIA H100 80GB HBM3"},
            "cases": [{"name": name, "matmul_seconds": 5e-5, "search_seconds": 1e-4} for name in names]})

    def compare(self, *files):
        return subprocess.run([sys.executable, str(PEERS / "compare.py"), *files], capture_output=True, text=True,
                              check=False, timeout=60)

    def test_a_wish_is_met_at_the_peer_s_time_or_at_half_of_it_with_many_queries(self):
        one, many = "search/102400x768/bf16/q1", "search/102400x768/bf16/q256"
        for kernels, code in (({one: 1e-4, many: 5e-5}, 0), ({one: 1.01e-4, many: 5e-5}, 1), ({one: 1e-4, many: 5.1e-5}, 1)):
            ran = self.compare(self.ours(kernels), self.torch(one, many))
            self.assertEqual(code, ran.returncode, ran.stdout + ran.stderr)
            self.assertEqual(code, ran.stdout.count("MISSED"))

    def test_a_hop_is_compared_with_cupy(self):
        cusparse = self.write("cusparse.json", {
            "format": "engram peer", "peer": "cusparse", "machine": {"gpu": "NVIDIA A100"},
            "cases": [{"name": "spread_hop/10000/B8", "cupy_seconds": 2e-5, "bare_seconds": 2e-5,
                       "bare_rows_seconds": 1e-5}]})
        ran = self.compare(self.ours({}, hop=1e-5), cusparse)
        self.assertEqual(0, ran.returncode, ran.stderr)
        self.assertRegex(ran.stdout, r"spread_hop/10000/B8 .* 0\.50 +<= 1 +met")
        self.assertIn("WARNING: cusparse was measured on NVIDIA A100", ran.stdout)

    def test_a_simulated_run_gets_no_verdict(self):
        name = "search/102400x768/bf16/q1"
        ran = self.compare(self.ours({name: 1e-9}, simulated=True), self.torch(name))
        self.assertIn("none: simulated", ran.stdout)
        self.assertNotIn("met", ran.stdout)

    def test_missing_shapes_are_named(self):
        ran = self.compare(self.ours({"search/1": 1e-5}), self.torch("search/1", "search/2"))
        self.assertIn("Engram was not measured on: search/2", ran.stdout)

    def test_unusable_files_are_refused(self):
        ours, torch = self.ours({"a": 1}), self.torch("b")
        for files in ([ours], [torch], [ours, torch], [ours, ours, torch], [ours, str(self.folder / "none")],
                      [ours, self.write("x", [])]):
            ran = self.compare(*files)
            self.assertEqual(2, ran.returncode, ran.stdout + ran.stderr)
            self.assertEqual(1, len(ran.stderr.strip().splitlines()), ran.stderr)

    def test_a_peer_without_its_library_says_so(self):
        for program in ("torch_topk.py", "cusparse_spmm.py"):
            blocked = self.folder / program
            blocked.mkdir()
            for library in ("torch", "cupy"):
                (blocked / f"{library}.py").write_text("raise ImportError\n")
            ran = subprocess.run([sys.executable, str(PEERS / program)], capture_output=True, text=True, check=False,
                                 env={**os.environ, "PYTHONPATH": str(blocked)}, timeout=60)
            self.assertEqual(2, ran.returncode, ran.stderr)
            self.assertIn("is not installed here", ran.stderr)


if __name__ == "__main__":
    unittest.main()
