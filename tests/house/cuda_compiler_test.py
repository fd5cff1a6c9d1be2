"""Where the scripts find CUDA's compiler, and what bootstrap does where there is none."""

import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / "scripts"


class CudaCompilerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.system, self.cache = self.folder / "cuda", self.folder / "cache"
        self.tools = self.folder / "tools"
        self.tools.mkdir()

    def program(self, path, body):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def nvcc(self, folder, release):
        self.program(folder / "bin" / "nvcc", f"echo 'Cuda compilation tools, release {release}, V{release}.88'")

    def run_bash(self, command, **environment):
        where = {"PATH": f"{self.tools}:/usr/bin:/bin", "HOME": str(self.folder), "CUDA_HOME": str(self.system),
                 "ENGRAM_CACHE_DIR": str(self.cache)}
        sourced = f"set -euo pipefail; cd {SCRIPTS}; source lib/common.sh; source lib/cuda.sh; {command}"
        return subprocess.run(["bash", "-c", sourced], capture_output=True, text=True, env={**where, **environment})

    def find(self, **environment):
        return self.run_bash("find_nvcc", **environment).stdout.strip()

    @unittest.skipIf(os.path.exists("/usr/bin/nvcc"), "this machine's own nvcc is on every PATH")
    def test_the_nearest_choice_wins_and_old_compilers_do_not_count(self):
        self.assertEqual(self.find(), "")
        self.nvcc(self.cache / "cuda-13.0", "13.0")
        self.assertEqual(self.find(), f"{self.cache}/cuda-13.0/bin/nvcc")
        self.nvcc(self.system, "11.8")
        self.assertEqual(self.find(), f"{self.cache}/cuda-13.0/bin/nvcc", "11.8 knows no C++20")
        self.nvcc(self.system, "12.4")
        self.assertEqual(self.find(), f"{self.system}/bin/nvcc")
        self.nvcc(self.folder / "own", "12.0")
        self.assertEqual(self.find(CUDACXX=f"{self.folder}/own/bin/nvcc"), f"{self.folder}/own/bin/nvcc")

    def test_the_wheels_are_laid_out_as_a_toolkit(self):
        root = "$target/nvidia/cu13"
        self.program(self.tools / "python3",
                     'while (($#)); do [[ $1 != --target ]] || target=$2; shift; done\n'
                     f'mkdir -p {root}/bin {root}/lib\necho static >{root}/lib/libcudart_static.a\n'
                     f'echo shared >{root}/lib/libcudart.so.13\necho calls >{root}/lib/libcupti.so.13\n')
        run = self.run_bash("install_cuda_wheels")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([path.name for path in self.cache.iterdir()], ["cuda-13.0"], "nothing else is left over")
        self.assertEqual((self.cache / "cuda-13.0/lib64/libcudart_static.a").read_text(), "static\n")
        self.assertEqual((self.cache / "cuda-13.0/lib/libcudart.so").read_text(), "shared\n")
        self.assertEqual((self.cache / "cuda-13.0/lib/libcupti.so").read_text(), "calls\n")

    def test_a_failed_download_leaves_nothing_and_says_what_to_do(self):
        self.program(self.tools / "python3", "echo 'ERROR: No matching distribution' >&2; exit 1")
        run = self.run_bash("install_cuda_wheels")
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        self.assertIn("by hand (ERROR: No matching distribution)", run.stderr)
        self.assertEqual(list(self.cache.iterdir()), [])

    @unittest.skipIf(os.path.exists("/usr/bin/nvcc"), "this machine's own nvcc is on every PATH")
    def test_without_a_compiler_it_can_be_listed_and_is_not_installed_unasked(self):
        listed = self.run_bash("./bootstrap --cuda --list")
        self.assertIn("nvidia-cuda-nvcc==", listed.stdout)
        self.assertNotIn("nvidia-cuda-nvcc==", self.run_bash("./bootstrap --list").stdout)
        self.nvcc(self.system, "13.0")
        self.assertNotIn("nvidia-cuda-nvcc==", self.run_bash("./bootstrap --cuda --list").stdout)

    @unittest.skipIf(os.path.exists("/usr/bin/nvcc"), "this machine's own nvcc is on every PATH")
    def test_a_test_run_that_was_asked_to_compile_cuda_says_what_is_missing(self):
        run = self.run_bash("./test --cuda")
        self.assertEqual(run.returncode, 1)
        self.assertIn("bootstrap --cuda", run.stderr)


if __name__ == "__main__":
    unittest.main()
