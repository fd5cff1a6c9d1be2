"""Holds scripts/check-arrows to its word: each kind of violation, seeded into a small clean tree, is
reported with its file and line."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

CHECK = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "check-arrows"

CLEAN_TREE = {
    "cmake/public_headers.txt": "base/error.hpp\npipeline/pipeline.hpp\n",
    "base/error.hpp": "#include <string>\n",
    "kernels/cosine.cpp": '#include "engram/base/error.hpp"\n#include <immintrin.h>\n',
    "kernels/cuda/cosine.cu": "#include <cuda_runtime.h>\n",
    "devices/device.hpp": '#include "engram/base/error.hpp"\n',
    "actors/batcher.hpp": "#include <caf/all.hpp>\n",
    "pipeline/pipeline.hpp": '#include "engram/base/error.hpp"\n#include <memory>\n',
    "pipeline/pipeline.cpp": '#include "engram/actors/batcher.hpp"\n#include <caf/all.hpp>\n',
    "app/main.cpp": '#include "engram/pipeline/pipeline.hpp"\n',
    "actors/CMakeLists.txt": "engram_add_room(actors SOURCES a.cpp PUBLIC engram::devices)\n",
    "tests/actors/batcher_test.cpp": '#include "engram/actors/batcher.hpp"\n#include "probe.hpp"\n',
    "tests/actors/probe.hpp": "#include <caf/all.hpp>\n",
    "examples/embed/main.cpp": '#include "engram/pipeline/pipeline.hpp"\n',
}

# (file, its seeded content, where and what the report must say)
VIOLATIONS = [
    ("base/a.hpp", '#include <string>\n#include "engram/kernels/cosine.hpp"\n', "base/a.hpp:2: "),
    ("kernels/a.cpp", '#include "engram/config/options.hpp"\n', "kernels/a.cpp:1: "),
    ("kernels/a.cpp", "#include <thread>\n", "kernels know no threads"),
    ("kernels/a.cpp", "#include <tbb/parallel_for.h>\n", "standard library only"),
    ("kernels/a.cpp", "#include <spdlog/spdlog.h>\n", "standard library only"),
    ("kernels/a.cpp", "#include <cuda_runtime.h>\n", "CUDA headers"),
    ("actors/a.cpp", "#include <nvtx3/nvToolsExt.h>\n", "CUDA headers"),
    ("config/a.cpp", '#include "engram/devices/device.hpp"\n', "no arrow from config to devices"),
    ("devices/a.cpp", "#include <caf/all.hpp>\n", "actor framework"),
    ("pipeline/a.hpp", "#include <caf/all.hpp>\n", "actor framework"),
    ("service/a.cpp", "#  include <caf/actor.hpp>\n", "actor framework"),
    ("service/a.cpp", '#include "engram/actors/batcher.hpp"\n', "behind the pipeline"),
    ("app/a.cpp", '#include "engram/devices/device.hpp"\n', "behind the pipeline"),
    ("pipeline/a.cpp", '#include "engram/service/server.hpp"\n', "does not exist"),
    ("pipeline/pipeline.hpp", '#include "engram/actors/batcher.hpp"\n', "not installed"),
    ("pipeline/pipeline.hpp", "#include <spdlog/spdlog.h>\n", "an installed header includes"),
    ("datasets/a.cpp", '#include "engram/base/eror.hpp"\n', '"engram/base/eror.hpp" does not exist'),
    ("datasets/a.cpp", '#include "error.hpp"\n', "write "),
    ("actors/CMakeLists.txt", "engram_add_room(actors PUBLIC engram::pipeline)\n", "no arrow from actors"),
    ("examples/embed/main.cpp", '#include "engram/actors/batcher.hpp"\n', "is not installed"),
    ("tests/base/a_test.cpp", '#include "engram/actors/batcher.hpp"\n', "no arrow from base to actors"),
    ("cmake/public_headers.txt", "base/error.hpp\nbase/gone.hpp\n", "public_headers.txt:2: "),
]


def check(seeds):
    """Returns the exit status and the report for the clean tree with `seeds` laid over it."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**CLEAN_TREE, **seeds}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        run = subprocess.run([sys.executable, CHECK, "--root", root], capture_output=True, text=True)
        return run.returncode, run.stdout + run.stderr


class CheckArrows(unittest.TestCase):
    def test_a_clean_tree_passes(self):
        status, report = check({})
        self.assertEqual(status, 0, report)

    def test_each_seeded_violation_is_reported(self):
        for file, text, said in VIOLATIONS:
            with self.subTest(file=file, text=text):
                status, report = check({file: text})
                self.assertEqual(status, 1, report)
                self.assertIn(said, report)

    def test_an_empty_tree_does_not_pass(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(subprocess.run([sys.executable, CHECK, "--root", folder],
                                            capture_output=True).returncode, 1)


if __name__ == "__main__":
    unittest.main()
