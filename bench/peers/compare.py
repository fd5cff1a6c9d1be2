"""Sets Engram's device times beside those of its peers, shape by shape, and says whether the wish is met.

    gpu_performance_validation --json ours.json search/ spread_hop/
    bench/peers/torch_topk.py --json torch.json
    bench/peers/cusparse_spmm.py --json cusparse.json
    python3 bench/peers/compare.py ours.json torch.json cusparse.json

Search: kernel time (median) against PyTorch's matmul + topk; wished: at most 1, and at most 0.5 with 256 queries or
more. Spreading: what one more dense hop costs against CuPy's SpMM; wished: at most 1. A request's seeding and selection
are no part of a hop and SpMM has none; `with ends` shares them out over the hops. Exit code 0 if every wish is met, 1 if
one is not (or our case had trouble), 2 for unusable files.
"""

import argparse
import json
import re
import statistics
import sys

from peer_timing import FORMAT, microseconds, print_table

OURS = "engram gpu_performance_validation"


class Unusable(Exception):
    """Says in one sentence what is wrong with a file."""


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            run = json.load(file)
    except OSError as trouble:
        raise Unusable(f"{path} cannot be read: {trouble.strerror}.") from None
    except ValueError:
        raise Unusable(f"{path} is no JSON.") from None
    if not isinstance(run, dict) or run.get("format") not in (OURS, FORMAT):
        raise Unusable(f"{path} was written by none of the programs that this one compares.")
    return run


def sort_out(paths):
    """Returns our run and the peers' runs by their names."""
    ours, peers = None, {}
    for path in paths:
        run = load(path)
        if run["format"] == OURS:
            if ours:
                raise Unusable(f"{path} is a second run of Engram; give one.")
            ours = run
        else:
            peers[run["peer"]] = run
    if not ours or not peers:
        raise Unusable("Give one file of gpu_performance_validation and at least one of a peer.")
    return ours, peers


def wish_for(name):
    queries = re.search(r"/q(\d+)$", name)
    return 0.5 if queries and int(queries.group(1)) >= 256 else 1.0


class Tables:
    def __init__(self, ours):
        self.cases = {case["name"]: case for case in ours["cases"]}
        self.simulated = ours["gpu"]["simulated"]
        self.all_met = True

    def judge(self, name, our_seconds, peer_seconds):
        """Returns ratio, wish and verdict as text."""
        ratio, wish = our_seconds / peer_seconds, wish_for(name)
        if self.simulated:
            verdict = "none: simulated"
        elif self.cases[name]["trouble"]:
            verdict = "none: " + self.cases[name]["trouble"]
            self.all_met = False
        else:
            verdict = "met" if ratio <= wish else "MISSED"
            self.all_met &= ratio <= wish
        return [f"{ratio:.2f}", f"<= {wish:g}", verdict]

    def search(self, peer):
        rows = []
        for case in peer["cases"]:
            name = case["name"]
            if kernel := self.cases.get(name, {}).get("seconds", {}).get("kernel"):
                ours = statistics.median(kernel)
                rows.append([name, microseconds(ours), microseconds(case["matmul_seconds"]),
                             microseconds(case["search_seconds"]), *self.judge(name, ours, case["search_seconds"])])
        return ["search", "Engram", "matmul", "matmul + topk", "ratio", "wish", "verdict"], rows

    def hops(self, peer):
        rows = []
        for case in peer["cases"]:
            name = case["name"]
            figures = self.cases.get(name, {}).get("figures", {})
            if ours := figures.get("marginal_kernel_seconds_per_hop"):
                rows.append([name, microseconds(ours), microseconds(figures["kernel_seconds_per_hop"]),
                             microseconds(case["cupy_seconds"]), microseconds(case["bare_rows_seconds"]),
                             *self.judge(name, ours, case["cupy_seconds"])])
        return ["one hop", "Engram", "with ends", "CuPy", "bare, rows", "ratio", "wish", "verdict"], rows


def same_gpu(ours, peer):
    return peer["machine"]["gpu"] in ours["gpu"]["model"] or ours["gpu"]["model"] in peer["machine"]["gpu"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="+", help="JSON files of Engram and its peers, in any order")
    parser.add_argument("--part", action="store_true", help="cases of a peer that Engram was not measured on are no miss")
    arguments = parser.parse_args()
    ours, peers = sort_out(arguments.file)
    tables = Tables(ours)
    compared = 0
    print(f"Engram {ours['commit']} on {ours['gpu']['model']}{' (simulated)' if tables.simulated else ''}; device times")
    for peer, table in (("torch", tables.search), ("cusparse", tables.hops)):
        if peer not in peers:
            continue
        if not same_gpu(ours, peers[peer]):
            print(f"WARNING: {peer} was measured on {peers[peer]['machine']['gpu']}.")
        columns, rows = table(peers[peer])
        compared += len(rows)
        missing = [case["name"] for case in peers[peer]["cases"] if case["name"] not in {row[0] for row in rows}]
        print_table(columns, rows)
        if missing:
            print("Engram was not measured on: " + ", ".join(missing))
            # A case that came to nothing is missed even where only a part was asked for.
            came_to_nothing = [name for name in missing if tables.cases.get(name, {}).get("trouble")]
            tables.all_met &= arguments.part and not came_to_nothing
    if not compared:
        raise Unusable("The files have no case in common.")
    return 0 if tables.all_met else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Unusable as trouble:
        print(f"compare.py: {trouble}", file=sys.stderr)
        sys.exit(2)
