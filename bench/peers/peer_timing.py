"""What the peers' programs share: options, timing by CUDA events, a table, a file."""

import json
import statistics
import sys

FORMAT = "engram peer"


class Unavailable(Exception):
    """Says in one sentence why nothing can be measured here."""


def add_common_options(parser):
    parser.add_argument("filter", nargs="*", help="parts of the names of the cases to run; default: all")
    parser.add_argument("--json", metavar="FILE", help="write the figures there as well; -: standard output")
    parser.add_argument("--repeats", type=int, default=50, help="timed runs of each case (default %(default)s)")


def chosen(names, filters):
    """Returns the names that a filter is a part of; all without filters."""
    return [name for name in names if not filters or any(f in name for f in filters)]


def median_seconds(call, event, synchronize, repeats, batch_seconds=2e-3):
    """Returns the median time of one `call`, and of how many timed runs.

    `event()` makes a CUDA event with record() and seconds_since(earlier). A run is as many calls as take about
    `batch_seconds`: back to back on one stream, so the launch of one hides behind the work of the one before.
    """
    for _ in range(5):
        call()
    synchronize()
    calls = 1
    seconds = timed(call, event, calls)
    if seconds < batch_seconds:
        calls = max(1, min(1000, int(batch_seconds / max(seconds, 1e-6))))
    runs = [timed(call, event, calls) / calls for _ in range(repeats)]
    return statistics.median(runs), len(runs)


def timed(call, event, calls):
    begin, end = event(), event()
    begin.record()
    for _ in range(calls):
        call()
    end.record()
    return end.seconds_since(begin)


def print_table(columns, rows, out=sys.stdout):
    widths = [max(len(row[i]) for row in [columns, *rows]) for i in range(len(columns))]
    for row in [columns, *rows]:
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells), file=out)


def microseconds(seconds):
    if seconds is None:
        return "-"
    return f"{seconds * 1e6:.1f} us" if seconds < 1e-3 else f"{seconds * 1e6:,.0f} us"


def write_json(path, peer, machine, cases):
    text = json.dumps({"format": FORMAT, "peer": peer, "machine": machine, "cases": cases}, indent=1) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
