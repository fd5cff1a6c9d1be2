#pragma once

/// Random inputs, made with all cores: the same for the same arguments on every machine.

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace engram::bench {

/// Fills `out` with numbers of the standard normal distribution (65,536 different ones).
void fill_normal(std::span<float> out, std::uint64_t seed);

/// Returns `count` such numbers.
std::vector<float> random_floats(std::size_t count, std::uint64_t seed);

/// Returns vectors [rows, dim] of such numbers, stored as `type`.
result<collection_ptr> random_collection(std::size_t rows, std::size_t dim, element_type type,
                                         std::uint64_t seed);

/// Returns a graph where every node has 16 edges (or as many as there are nodes, if fewer) to
/// different random nodes, with weights in (0, 1]: every hop multiplies activation by about
/// 8 x decay.
result<graph_ptr> random_graph(std::size_t nodes, std::uint64_t seed);

/// Returns `count` different integers below `bound`, evenly spread from a random first one.
std::vector<std::uint32_t> spread_out(std::size_t count, std::size_t bound, std::uint64_t seed);

} // namespace engram::bench
