"""What the tests of third-party clients share, whichever door they come through."""

import csv
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "app"))

import numpy  # noqa: E402

from engram_command import PATIENCE, CommandTest, Daemon  # noqa: E402

QUERY = numpy.array([[1, 0], [0.6, 0.8]], numpy.float32)


class ClientTest(CommandTest):
    """A test with a daemon of its own that serves `things` and `things-graph`."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # perf_analyzer names its regions itself, and not after anybody.
        cls.daemon = Daemon(cls.store, "--oip.shared_memory", "true", "--oip.shared_memory_prefix", "/",
                            "--gpu.enabled", "false")
        cls.enterClassContext(cls.daemon)

    def direct(self, path, body):
        """Returns what Engram's own HTTP interface answers."""
        status, answer = self.daemon.request("POST", path, body)
        self.assertEqual(status, 200, answer)
        return answer

    def assert_hits(self, given, wanted):
        """Checks ids and scores, as arrays, against the results of a search over Engram's own interface."""
        for row, hits in enumerate(wanted["results"]):
            self.assertEqual(given.as_numpy("ids")[row].tolist(), [hit["id"] for hit in hits["hits"]])
            self.assertEqual(given.as_numpy("scores")[row].tolist(),
                             [float(numpy.float32(hit["score"])) for hit in hits["hits"]])

    def analyze(self, protocol, address, *options):
        """Runs perf_analyzer for a moment and returns the rows of its report."""
        report = self.folder / "report.csv"
        environment = dict(os.environ, LD_LIBRARY_PATH=os.environ["PERF_ANALYZER_LIBRARIES"])
        ran = subprocess.run(
            [os.environ["PERF_ANALYZER"], "-i", protocol, "-u", address, "-f", report,
             "--measurement-interval", "500", "--stability-percentage", "900", "--max-trials", "4", *options],
            env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        with report.open() as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            self.assertGreater(float(row["Inferences/Second"]), 0, row)
            self.assertGreater(float(row["Server Compute Infer"]) + float(row["Server Queue"]) +
                               float(row["Server Compute Output"]), 0, "the server's statistics")
        return rows


if __name__ == "__main__":
    sys.exit("not a test by itself")
