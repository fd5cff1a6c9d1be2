#!/usr/bin/env python3
"""Times cuSPARSE's product of a sparse matrix and dense columns on one GPU: what a dense spreading hop is compared with.

    bench/peers/cusparse_spmm.py [--full] [--json FILE] [FILTER ...]

One hop for B seed sets is W x D, where W [n, n] has the weights by target and D [n, B] the activations; float32. The
graph is random: 16 edges leave every node. Times are medians between CUDA events, everything on the device:

    CuPy        cupyx.cusparse.spmm, or spmv where B is 1, as a caller of CuPy gets it (columns are contiguous)
    bare        the same product with descriptors and buffer made beforehand
    bare, rows  the same where the B numbers of a node are contiguous

Ends with 2 where CuPy or a GPU is missing.
"""

import argparse
import ctypes
import sys

from peer_timing import (Unavailable, add_common_options, chosen, median_seconds, microseconds, print_table,
                         write_json)

NODES = [10_000, 100_000, 1_000_000]
FULL_NODES = 4_000_000
SETS = [1, 8, 32]
EDGES_PER_NODE = 16

# Of cusparse.h and library_types.h; CuPy does not name the last one.
CUDA_R_32F = 0
SPMM_ALG_DEFAULT = 0
SPMM_CSR_ALG2 = 6


def load_cupy():
    try:
        import cupy
        import cupyx.cusparse
    except ImportError:
        raise Unavailable("CuPy is not installed here, so there is no peer to time.") from None
    try:
        if cupy.cuda.runtime.getDeviceCount() > 0:
            return cupy, cupyx
    except cupy.cuda.runtime.CUDARuntimeError:
        pass
    raise Unavailable("CuPy finds no CUDA GPU here, so there is no peer to time.")


def name_of(nodes, sets):
    return f"spread_hop/{nodes}/B{sets}"


class Event:
    """A CUDA event with the interface that peer_timing wants."""

    def __init__(self, cupy):
        self.cupy = cupy
        self.event = cupy.cuda.Event()

    def record(self):
        self.event.record()

    def seconds_since(self, earlier):
        self.event.synchronize()
        return self.cupy.cuda.get_elapsed_time(earlier.event, self.event) * 1e-3


def random_weights(cupy, cupyx, nodes):
    """Returns W [nodes, nodes] by target, with 16 random edges a source less those that fell together."""
    targets = cupy.random.randint(0, nodes, size=nodes * EDGES_PER_NODE, dtype=cupy.int64)
    sources = cupy.repeat(cupy.arange(nodes, dtype=cupy.int64), EDGES_PER_NODE)
    edges = cupy.unique(targets * nodes + sources)
    offsets = cupy.zeros(nodes + 1, dtype=cupy.int32)
    offsets[1:] = cupy.cumsum(cupy.bincount(edges // nodes, minlength=nodes))
    weights = 1 - cupy.random.random(edges.size, dtype=cupy.float32)
    return cupyx.scipy.sparse.csr_matrix((weights, (edges % nodes).astype(cupy.int32), offsets), shape=(nodes, nodes))


class BareProduct:
    """cuSPARSE's SpMM with everything prepared; `by_rows` says how the dense matrices lie in memory."""

    def __init__(self, cupy, cupyx, weights, dense, by_rows, algorithm):
        from cupy_backends.cuda.libs import cusparse

        self.library, self.algorithm = cusparse, algorithm
        self.handle = cupy.cuda.device.get_cusparse_handle()
        order = "C" if by_rows else "F"
        self.dense = cupy.array(dense, order=order)
        self.out = cupy.empty(dense.shape, dtype=cupy.float32, order=order)
        self.weights = cupyx.cusparse.SpMatDescriptor.create(weights)
        self.matrices = [self.describe(matrix, by_rows) for matrix in (self.dense, self.out)]
        self.factors = [ctypes.c_float(1), ctypes.c_float(0)]
        self.buffer = cupy.empty(max(1, cusparse.spMM_bufferSize(*self.arguments())), dtype=cupy.int8)

    def describe(self, matrix, by_rows):
        rows, columns = matrix.shape
        order = self.library.CUSPARSE_ORDER_ROW if by_rows else self.library.CUSPARSE_ORDER_COL
        return self.library.createDnMat(rows, columns, columns if by_rows else rows, matrix.data.ptr, CUDA_R_32F, order)

    def arguments(self):
        plain = self.library.CUSPARSE_OPERATION_NON_TRANSPOSE
        one, zero = map(ctypes.addressof, self.factors)
        return (self.handle, plain, plain, one, self.weights.desc, self.matrices[0], zero, self.matrices[1], CUDA_R_32F,
                self.algorithm)

    def __call__(self):
        self.library.spMM(*self.arguments(), self.buffer.data.ptr)

    def close(self):
        for matrix in self.matrices:
            self.library.destroyDnMat(matrix)


def fastest_bare(cupy, cupyx, weights, dense, by_rows, expected, median):
    """Returns the better of cuSPARSE's algorithms, whose result must be `expected`; None if it takes neither."""
    times = []
    for algorithm in (SPMM_ALG_DEFAULT, SPMM_CSR_ALG2):
        try:
            product = BareProduct(cupy, cupyx, weights, dense, by_rows, algorithm)
            product()
        except RuntimeError as trouble:  # cuSPARSE's own errors are among these
            print(f"cusparse_spmm.py: algorithm {algorithm} is left out: {trouble}", file=sys.stderr)
            continue
        if not cupy.allclose(product.out, expected, rtol=1e-4):
            raise Unavailable("cuSPARSE called directly gives another product than CuPy; this program must be mended.")
        times.append(median(product))
        product.close()
    return min(times, default=None)


def measure(cupy, cupyx, weights, sets, repeats):
    nodes = weights.shape[0]
    dense = cupy.asfortranarray(cupy.random.random((nodes, sets), dtype=cupy.float32))
    out = cupy.empty((nodes, sets), dtype=cupy.float32, order="F")

    def product():
        if sets == 1:
            cupyx.cusparse.spmv(weights, dense[:, 0], out[:, 0])
        else:
            cupyx.cusparse.spmm(weights, dense, out)

    def median(call):
        return median_seconds(call, lambda: Event(cupy), cupy.cuda.Device().synchronize, repeats)[0]

    product()
    case = {"name": name_of(nodes, sets), "cupy_seconds": median(product)}
    for key, by_rows in (("bare_seconds", False), ("bare_rows_seconds", True)):
        case[key] = fastest_bare(cupy, cupyx, weights, dense, by_rows, out, median)
    return case


def measure_all(cupy, cupyx, wanted, repeats):
    cases, held, weights = [], None, None
    for nodes, sets in wanted:
        if held != nodes:
            weights = None  # before the next one takes its memory
            held, weights = nodes, random_weights(cupy, cupyx, nodes)
        cases.append(measure(cupy, cupyx, weights, sets, repeats))
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_common_options(parser)
    parser.add_argument("--full", action="store_true", help=f"also {FULL_NODES:,} nodes")
    options = parser.parse_args()
    shapes = [(nodes, sets) for nodes in NODES + [FULL_NODES] * options.full for sets in SETS]
    names = chosen([name_of(*shape) for shape in shapes], options.filter)
    cupy, cupyx = load_cupy()
    cases = measure_all(cupy, cupyx, [shape for shape in shapes if name_of(*shape) in names], options.repeats)
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.runtime.getDevice())
    machine = {"gpu": properties["name"].decode(), "cupy": cupy.__version__,
               "cuda": str(cupy.cuda.runtime.runtimeGetVersion())}
    if options.json != "-":
        print(f"cuSPARSE through CuPy {machine['cupy']} on {machine['gpu']}, CUDA {machine['cuda']}, float32")
        keys = ["cupy_seconds", "bare_seconds", "bare_rows_seconds"]
        print_table(["case", "CuPy", "bare", "bare, rows"],
                    [[case["name"]] + [microseconds(case[key]) for key in keys] for case in cases])
    if options.json:
        write_json(options.json, "cusparse", machine, cases)


if __name__ == "__main__":
    try:
        main()
    except Unavailable as trouble:
        print(f"cusparse_spmm.py: {trouble}", file=sys.stderr)
        sys.exit(2)
