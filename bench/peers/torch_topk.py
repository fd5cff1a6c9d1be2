#!/usr/bin/env python3
"""Times PyTorch's exact search, (q @ X.T).topk(k), on one GPU: what Engram's search is compared with.

    bench/peers/torch_topk.py [--json FILE] [FILTER ...]

Vectors and queries are random and on the device, and the results stay there. A time is the median over repeats of
the time between two CUDA events. Vectors have unit norm, so that the product alone is the cosine. Ends with 2
where PyTorch or a GPU is missing.
"""

import argparse
import sys

from peer_timing import (Unavailable, add_common_options, chosen, median_seconds, microseconds, print_table,
                         write_json)

# The rows of bench/gpu/bench_case.cpp: vectors, storage, queries.
SHAPES = [
    (1_024, "f32", 1),
    (10_240, "bf16", 64),
    (102_400, "f32", 1),
    (102_400, "bf16", 1),
    (102_400, "bf16", 256),
    (1_000_000, "f32", 1),
    (1_000_000, "bf16", 1),
    (1_000_000, "bf16", 16),
    (1_000_000, "bf16", 64),
    (1_000_000, "bf16", 256),
    (1_000_000, "bf16", 1_024),
    (4_000_000, "bf16", 64),
]
DIM = 768
K = 10


def load_torch():
    try:
        import torch
    except ImportError:
        raise Unavailable("PyTorch is not installed here, so there is no peer to time.") from None
    if not torch.cuda.is_available():
        raise Unavailable("PyTorch finds no CUDA GPU here, so there is no peer to time.")
    return torch


def name_of(shape):
    vectors, storage, queries = shape
    return f"search/{vectors}x{DIM}/{storage}/q{queries}"


class Event:
    """A CUDA event with the interface that peer_timing wants."""

    def __init__(self, torch):
        self.event = torch.cuda.Event(enable_timing=True)

    def record(self):
        self.event.record()

    def seconds_since(self, earlier):
        self.event.synchronize()
        return earlier.event.elapsed_time(self.event) * 1e-3


def random_rows(torch, rows, dtype):
    """Returns unit vectors [rows, DIM], made in pieces: float32 for all of a large case need not fit."""
    out = torch.empty((rows, DIM), dtype=dtype, device="cuda")
    for first in range(0, rows, 100_000):
        piece = torch.randn((min(100_000, rows - first), DIM), device="cuda")
        out[first:first + len(piece)] = torch.nn.functional.normalize(piece).to(dtype)
    return out


def measure(torch, shape, vectors, repeats):
    queries = random_rows(torch, shape[2], vectors.dtype)

    def product():
        return queries @ vectors.T

    def search():
        return (queries @ vectors.T).topk(K)

    def median(call):
        return median_seconds(call, lambda: Event(torch), torch.cuda.synchronize, repeats)[0]

    return {"name": name_of(shape), "matmul_seconds": median(product), "search_seconds": median(search)}


def measure_all(torch, shapes, repeats):
    cases, vectors, held = [], None, None
    for shape in shapes:
        if held != shape[:2]:
            vectors = None  # before the next one takes its memory
            vectors = random_rows(torch, shape[0], torch.float32 if shape[1] == "f32" else torch.bfloat16)
            held = shape[:2]
        cases.append(measure(torch, shape, vectors, repeats))
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    options = parser.parse_args()
    wanted = chosen([name_of(shape) for shape in SHAPES], options.filter)
    torch = load_torch()
    # The library's own default for float32, said aloud: no TF32, which would not be exact.
    torch.set_float32_matmul_precision("highest")
    with torch.inference_mode():
        cases = measure_all(torch, [shape for shape in SHAPES if name_of(shape) in wanted], options.repeats)
    machine = {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda}
    if options.json != "-":
        print(f"PyTorch {machine['torch']} on {machine['gpu']}, CUDA {machine['cuda']}, k {K}")
        print_table(["case", "matmul", "matmul + topk"],
                    [[c["name"], microseconds(c["matmul_seconds"]), microseconds(c["search_seconds"])] for c in cases])
    if options.json:
        write_json(options.json, "torch", machine, cases)


if __name__ == "__main__":
    try:
        main()
    except Unavailable as trouble:
        print(f"torch_topk.py: {trouble}", file=sys.stderr)
        sys.exit(2)
