"""Holds scripts/bundle to its word: a small build is bundled, moved away from its libraries, and runs."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BUNDLE = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "bundle"

PROJECT = """cmake_minimum_required(VERSION 3.25)
project(small LANGUAGES CXX)
enable_testing()
add_library(needed SHARED needed.cpp)
add_custom_target(engram_cuda)
function(program name folder)
  add_executable(${name} main.cpp)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/${folder})
  target_link_libraries(${name} PRIVATE needed)
  add_dependencies(engram_cuda ${name})
endfunction()
program(engram app)
program(gpu_tests tests/kernels)
program(cpu_tests tests/kernels)
program(gpu_performance_validation bench/gpu)
program(bench_pipeline bench/pipeline)
if(INJECTS)
  add_library(cupti SHARED needed.cpp)
  add_library(engram_cuda_inject MODULE needed.cpp)
  set_target_properties(engram_cuda_inject PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests/gpu
    LINK_FLAGS "-Wl,--no-as-needed${LOOKS_BESIDE_IT}")
  target_link_libraries(engram_cuda_inject PRIVATE cupti)
  add_dependencies(engram_cuda engram_cuda_inject)
  program(cuda_inject_run tests/gpu)
endif()
add_test(NAME gpu.one COMMAND gpu_tests one)
add_test(NAME gpu.two COMMAND gpu_tests two)
set_tests_properties(gpu.one gpu.two PROPERTIES LABELS "${LABEL}")
add_test(NAME cpu.one COMMAND cpu_tests)
set_tests_properties(cpu.one PROPERTIES LABELS gpu_never)
"""
FINDS_BESIDE_IT = "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags,-rpath,'$ORIGIN/../lib'"


class BundleTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.build, self.out = self.folder / "build", self.folder / "out"

    def configure(self, label="gpu", flags=FINDS_BESIDE_IT, data="1", more=()):
        (self.folder / "CMakeLists.txt").write_text(PROJECT)
        (self.folder / "needed.cpp").write_text("int needed() { return 0; }\n")
        (self.folder / "main.cpp").write_text(f"int needed();\nchar data[{data}] = {{1}};\n"
                                              "int main() { return needed() + data[0] - 1; }\n")
        # As the libraries of a distribution: found without the program's help.
        subprocess.run(["cmake", "-S", self.folder, "-B", self.build, "-G", "Ninja", "-DCMAKE_SKIP_BUILD_RPATH=ON",
                        f"-DLABEL={label}", flags, *more], check=True, capture_output=True)

    def bundle(self, *options):
        run = subprocess.run([sys.executable, BUNDLE, *options, self.build, self.out], capture_output=True, text=True,
                             env={**os.environ, "LD_LIBRARY_PATH": str(self.build)})
        self.said = run.stderr.strip().splitlines()
        return run.returncode

    def test_a_bundle_runs_where_its_libraries_are_not_installed(self):
        self.configure()
        self.assertEqual(self.bundle(), 0, self.said)
        self.assertIn("MB", self.said[-1])
        moved = self.out.rename(self.folder / "moved")
        self.assertEqual({path.name for path in (moved / "bin").iterdir()},
                         {"engram", "gpu_tests", "gpu_performance_validation"})
        libraries = {path.name for path in (moved / "lib").iterdir()}
        self.assertIn("libneeded.so", libraries)
        for name in libraries:
            self.assertNotRegex(name, r"^(ld-linux|libc\.|libm\.|libpthread\.)")
        (self.build / "libneeded.so").unlink()
        for program in (moved / "bin").iterdir():
            self.assertEqual(subprocess.run([program]).returncode, 0)
            self.assertNotIn(".symtab", subprocess.run(["readelf", "-SW", program], capture_output=True,
                                                       text=True).stdout)
        lines = (moved / "bundle.txt").read_text().splitlines()
        self.assertRegex(lines[0], r"^commit \S+")
        self.assertEqual(lines[1:], ["test gpu_tests", "bench gpu_performance_validation"])
        self.assertTrue(os.access(moved / "gpu-test", os.X_OK))
        self.assertTrue((moved / "bench" / "peers").is_dir())

    def test_what_substitutes_return_codes_comes_along_with_its_library(self):
        self.configure(more=("-DINJECTS=ON", "-DLOOKS_BESIDE_IT=,-rpath,'$ORIGIN'"))
        self.assertEqual(self.bundle(), 0, self.said)
        libraries = {path.name for path in (self.out / "lib").iterdir()}
        self.assertLessEqual({"libengram_cuda_inject.so", "libcupti.so"}, libraries)
        self.assertEqual((self.out / "bundle.txt").read_text().splitlines()[-1], "inject cuda_inject_run")
        self.assertTrue((self.out / "bin" / "cuda_inject_run").exists())

    def test_what_substitutes_return_codes_must_find_its_library(self):
        self.configure(more=("-DINJECTS=ON",))
        self.assertEqual(self.bundle(), 1)
        self.assertIn("would not look for CUPTI", self.said[-1])

    def test_an_old_bundle_is_replaced_and_another_folder_is_not(self):
        self.configure()
        self.assertEqual(self.bundle(), 0, self.said)
        (self.out / "lib" / "old.so").write_text("")
        self.assertEqual(self.bundle("--no-build"), 0, self.said)
        self.assertFalse((self.out / "lib" / "old.so").exists())
        (self.out / "bundle.txt").unlink()
        self.assertEqual(self.bundle("--no-build"), 1)
        self.assertIn("no bundle", self.said[-1])
        self.assertTrue((self.out / "gpu-test").exists())

    def test_what_is_wrong_is_one_sentence(self):
        for options, said in [
            ({"label": "cuda"}, "is labelled gpu"),
            ({"flags": "-DNONE=1"}, "would not look for its libraries"),
            ({"data": "25000000"}, "may have 60"),
        ]:
            with self.subTest(said):
                self.setUp()
                self.configure(**options)
                self.assertEqual(self.bundle(), 1)
                self.assertIn(said, self.said[-1])

    def test_a_folder_that_is_no_build_is_refused(self):
        self.assertEqual(self.bundle(), 1)
        self.assertIn("no build folder", self.said[-1])

    def test_a_program_that_is_not_built_is_named(self):
        self.configure()
        self.assertEqual(self.bundle(), 0, self.said)
        (self.build / "app" / "engram").unlink()
        self.assertEqual(self.bundle("--no-build"), 1)
        self.assertIn("app/engram is not built", self.said[-1])

    def test_a_library_that_is_missing_is_named(self):
        self.configure()
        self.assertEqual(self.bundle(), 0, self.said)
        (self.build / "libneeded.so").unlink()
        self.assertEqual(self.bundle("--no-build"), 1)
        self.assertIn("needs libneeded.so", self.said[-1])


if __name__ == "__main__":
    unittest.main()
