"""Holds scripts/gpu-test to its word on bundles of pretended programs: what it runs, what it says, how it ends."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

GPU_TEST = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "gpu-test"

PASSING = """[ RUN      ] cuda.small_shapes
[       OK ] cuda.small_shapes (0 ms)
[==========] 3 tests from 1 test suite ran. (0 ms total)
[  PASSED  ] 3 tests."""
FAILING = """[ RUN      ] cuda.small_shapes
[  FAILED  ] cuda.small_shapes (0 ms)
[  PASSED  ] 2 tests.
[  FAILED  ] 1 test, listed below:
[  FAILED  ] cuda.small_shapes"""
SKIPPING = """[ RUN      ] cuda.small_shapes
[  SKIPPED ] cuda.small_shapes (0 ms)
[  PASSED  ] 2 tests.
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] cuda.small_shapes"""
DYING = "[ RUN      ] cuda.small_shapes"
NONE = "[  PASSED  ] 0 tests."

LIST_SMALL = "case $* in *--gtest_list_tests*) printf 'cuda.\\n  small_shapes\\n'; exit 0;; esac"
LIST_NONE = "case $* in *--gtest_list_tests*) exit 0;; esac"
CLEAN_SANITIZER = """case $* in
*memcheck*) echo '========= ERROR SUMMARY: 0 errors' ;;
*racecheck*) echo '========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)' ;;
esac"""


def says(text, status=0, first=LIST_SMALL):
    return f"{first}\ncat <<'END'\n{text}\nEND\nexit {status}"


class Machine:
    """A bundle, and a machine with or without a GPU, all of it shell scripts."""

    def __init__(self, folder, gpu=True):
        self.bundle, self.tools = folder / "bundle", folder / "tools"
        (self.bundle / "bin").mkdir(parents=True)
        (self.bundle / "bench" / "peers").mkdir(parents=True)
        self.tools.mkdir()
        for tool in ("bash", "basename", "cat", "dirname", "grep", "head", "mkdir", "rm", "sed", "sleep", "tail", "tee",
                     "timeout"):
            (self.tools / tool).symlink_to(shutil.which(tool))
        self.lines = ["commit 0123456789ab"]
        shutil.copy(GPU_TEST, self.bundle)
        if gpu:
            self.script(self.tools / "nvidia-smi", "echo 'NVIDIA H100, 580.0'")

    def script(self, path, body):
        path.write_text(f"#!/usr/bin/env bash\n{body}\n")
        path.chmod(0o755)

    def test(self, name, body):
        self.lines.append(f"test {name}")
        self.script(self.bundle / "bin" / name, body)

    def program(self, name, body):
        self.script(self.bundle / "bin" / name, body)

    def tool(self, name, body):
        self.script(self.tools / name, body)

    def peer(self, name):
        path = self.bundle / "bench" / "peers" / name
        path.write_text("#!/usr/bin/env python3\n")

    def run(self, *arguments, **environment):
        (self.bundle / "bundle.txt").write_text("\n".join(self.lines) + "\n")
        run = subprocess.run([self.bundle / "gpu-test", *arguments], capture_output=True, text=True,
                             env={"PATH": str(self.tools), **environment})
        self.said, self.log = run.stdout, run.stderr
        return run.returncode

    def result(self, step):
        """What the table says of `step`; empty if it has no such line."""
        found = re.search(rf"^{re.escape(step)} +(.*?) +\d+\.\d$", self.said, re.MULTILINE)
        return found.group(1) if found else ""


class GpuTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def machine(self, **options):
        return Machine(self.folder, **options)

    @unittest.skipIf(list(pathlib.Path("/dev").glob("nvidia[0-9]*")), "this machine has a GPU")
    def test_without_a_gpu_it_says_so_and_fails(self):
        m = self.machine(gpu=False)
        m.test("kernels_tests", says(PASSING))
        self.assertEqual(m.run(), 2)
        self.assertEqual(m.log.count("\n"), 1, m.log)
        self.assertIn("no NVIDIA GPU", m.log)

    def test_a_hidden_gpu_is_no_gpu(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        self.assertEqual(m.run(CUDA_VISIBLE_DEVICES=""), 2)
        self.assertIn("CUDA_VISIBLE_DEVICES", m.log)

    def test_what_cannot_run_says_why_and_is_no_failure(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        m.peer("torch_topk.py")
        self.assertEqual(m.run(), 0, m.log)
        self.assertEqual(m.result("tests kernels_tests"), "3 passed")
        self.assertIn("no compute-sanitizer", m.result("sanitizer"))
        self.assertIn("the bundle does not have it", m.result("gpu_performance_validation"))
        self.assertIn("no python3", m.result("torch_topk"))
        self.assertIn("0123456789ab", m.said)
        self.assertEqual((m.bundle / "results" / "summary.txt").read_text(), m.said)

    def test_what_was_asked_for_by_name_and_cannot_run_is_a_failure(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        self.assertEqual(m.run("--sanitizer"), 1)
        self.assertEqual(m.result("tests kernels_tests"), "")

    def test_tests_that_do_not_pass_are_failures(self):
        for text, status, said in [
            (FAILING, 1, "1 failed, 0 skipped, 2 passed"),
            (SKIPPING, 0, "0 failed, 1 skipped, 2 passed"),
            (DYING, 139, "died (status 139) at cuda.small_shapes"),
            (PASSING, 1, "3 passed, status 1"),
            (NONE, 0, "0 passed, status 0"),
        ]:
            with self.subTest(said), tempfile.TemporaryDirectory() as folder:
                m = Machine(pathlib.Path(folder))
                m.test("bad_tests", says(text, status))
                m.test("good_tests", says(PASSING))
                self.assertEqual(m.run("--tests"), 1)
                self.assertEqual(m.result("tests bad_tests"), said)
                self.assertEqual(m.result("tests good_tests"), "3 passed", "the others run all the same")

    def test_a_bundle_without_tests_is_a_failure(self):
        self.assertEqual(self.machine().run("--tests"), 1)

    def test_a_program_that_hangs_is_ended(self):
        m = self.machine()
        m.test("slow_tests", f"echo '{DYING}'; sleep 60")
        self.assertEqual(m.run("--tests", "--limit", "1"), 1)
        self.assertEqual(m.result("tests slow_tests"), "not done in time, at cuda.small_shapes")

    def test_the_sanitizer_runs_what_is_small(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        m.test("large_tests", says(PASSING, first=LIST_NONE))
        m.tool("compute-sanitizer", f'echo "$*"\n{CLEAN_SANITIZER}\n"${{@:5}}"')
        self.assertEqual(m.run("--sanitizer"), 0, m.log + m.said)
        self.assertEqual(m.result("memcheck kernels_tests"), "clean, 3 passed")
        self.assertEqual(m.result("racecheck kernels_tests"), "clean, 3 passed")
        self.assertEqual(m.result("memcheck large_tests"), "")
        log = (m.bundle / "results" / "kernels_tests.memcheck.log").read_text()
        self.assertIn("--gtest_filter=*small*", log)

    def test_what_the_sanitizer_finds_is_a_failure(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        m.tool("compute-sanitizer", "case $* in *memcheck*) echo '========= ERROR SUMMARY: 2 errors' ;; *) echo "
               "'========= RACECHECK SUMMARY: 1 hazard displayed (0 errors, 1 warning)' ;; esac\n\"${@:5}\"\nexit 86")
        self.assertEqual(m.run("--sanitizer"), 1)
        self.assertIn("2 errors", m.result("memcheck kernels_tests"))
        self.assertIn("1 hazard", m.result("racecheck kernels_tests"))

    def test_a_sanitizer_that_found_nothing_to_look_at_is_a_failure(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING, first=LIST_NONE))
        m.tool("compute-sanitizer", CLEAN_SANITIZER)
        self.assertEqual(m.run("--sanitizer"), 1)
        self.assertIn("no test has 'small'", m.result("sanitizer"))

    def test_a_gpu_that_the_sanitizer_cannot_use_is_said(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        m.tool("compute-sanitizer", "echo '========= Device not supported. Please refer to the manual'; exit 1")
        self.assertEqual(m.run(), 0)
        self.assertIn("cannot use this GPU", m.result("memcheck kernels_tests"))

    def test_every_case_of_injection_is_a_step(self):
        m = self.machine()
        m.program("cuda_inject_run", """case $1 in
--list) printf 'all/unknown\\nall/ecc\\nnamed/timeout\\n' ;;
all/ecc) echo "all/ecc: 10 requests: lost 1"; exit 1 ;;
named/timeout) sleep 60 ;;
*) echo "    a note"; echo "$1: 10 requests: lost 0" ;;
esac""")
        self.assertEqual(m.run("--inject", "--limit", "1"), 1)
        self.assertEqual(m.result("inject all/unknown"), "10 requests: lost 0")
        self.assertEqual(m.result("inject all/ecc"), "status 1: 10 requests: lost 1")
        self.assertEqual(m.result("inject named/timeout"), "not done in time")
        self.assertTrue((m.bundle / "results" / "inject.all.ecc.log").exists())

    def test_injection_without_its_program_or_a_case_tests_nothing(self):
        m = self.machine()
        self.assertEqual(m.run("--inject"), 1)
        self.assertIn("does not have cuda_inject_run", m.result("inject"))
        m.program("cuda_inject_run", "exit 0")
        self.assertEqual(m.run("--inject"), 1)
        self.assertIn("no cases", m.result("inject"))

    def test_faults_are_measured_when_asked_for(self):
        m = self.machine()
        m.test("kernels_tests", says(PASSING))
        m.program("gpu_fault_recovery", 'echo "faults: $*"')
        self.assertEqual(m.run("--faults"), 0, m.log)
        self.assertIn(f"faults: --json {m.bundle}/results/gpu_fault_recovery.json", m.said)
        m.run()
        self.assertEqual(m.result("gpu_fault_recovery"), "")

    def test_benchmarks_and_peers_write_their_figures_where_they_are_told(self):
        m = self.machine()
        m.program("gpu_performance_validation", 'echo "bench: $*"')
        m.peer("torch_topk.py")
        (m.bundle / "bench" / "peers" / "peer_timing.py").write_text("# no program\n")
        m.tool("python3", 'echo "peer: $*"')
        out = self.folder / "figures"
        self.assertEqual(m.run("--bench", "--peers", "--quick", "--out", str(out)), 0, m.log)
        self.assertIn(f"bench: --quick --json {out}/gpu_performance_validation.json", m.said)
        self.assertIn(f"peer: {m.bundle}/bench/peers/torch_topk.py --json {out}/torch_topk.json", m.said)
        self.assertEqual(m.result("peer_timing"), "")

    def test_figures_are_compared_where_both_sides_have_some(self):
        for status, ended, said in [(0, 0, "as fast as wished"), (1, 1, "slower than wished")]:
            with self.subTest(said), tempfile.TemporaryDirectory() as folder:
                m = Machine(pathlib.Path(folder))
                m.program("gpu_performance_validation", "echo ours >${@: -1}")
                m.peer("torch_topk.py")
                (m.bundle / "bench" / "peers" / "compare.py").write_text("# run after them\n")
                m.tool("python3", f'case $* in *compare*) echo "$*"; exit {status} ;; esac')
                self.assertEqual(m.run("--bench", "--peers"), ended, m.log)
                self.assertEqual(m.result("compare"), said)
                results = m.bundle / "results"
                self.assertIn(f"{results}/gpu_performance_validation.json {results}/torch_topk.json", m.said)
                m.program("gpu_performance_validation", "exit 1")
                m.run()
                self.assertIn("no figures of Engram", m.result("compare"), "what is left of an earlier run is not used")

    def test_a_peer_that_lacks_something_is_not_run_and_one_that_fails_has_failed(self):
        m = self.machine()
        m.peer("cusparse_spmm.py")
        m.peer("torch_topk.py")
        m.tool("python3", "case $* in *torch*) echo 'PyTorch is not installed here.'; exit 2 ;; esac\nexit 1")
        self.assertEqual(m.run("--peers"), 1)
        self.assertEqual(m.result("torch_topk"), "not run: PyTorch is not installed here.")
        self.assertIn("status 1", m.result("cusparse_spmm"))

    def test_bad_options_are_refused_in_one_sentence(self):
        m = self.machine()
        for arguments in [("--frobnicate",), ("--limit", "soon"), ("--out",), ("/nowhere",), ("a", "b")]:
            with self.subTest(arguments):
                self.assertEqual(m.run(*arguments), 2)
                self.assertEqual(m.log.count("\n"), 1, m.log)


if __name__ == "__main__":
    unittest.main()
