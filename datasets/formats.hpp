#pragma once

/// The readers behind import.hpp, one file each.

#include "engram/base/error.hpp"
#include "engram/datasets/activation_graph.hpp"
#include "engram/datasets/collection_builder.hpp"
#include "engram/datasets/input_file.hpp"
#include "engram/kernels/rows.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace engram {

/// Reads all rows of an open `.npy` or `.fvecs` file; what is left to do is to `finish`.
/// No claim of the file about its size is believed before it is compared with the file's size.
result<collection_builder> read_npy(const input_file& file, element_type type);
result<collection_builder> read_fvecs(const input_file& file, element_type type);

/// The edges of a text file, each checked by itself, and the line that each came from.
struct edge_lines {
  std::size_t nodes = 0;
  std::vector<edge> edges;
  std::vector<std::uint64_t> lines; ///< [edges]
};

/// Reads an open edge list or Matrix Market file. `nodes`: how many there are if that is known;
/// otherwise an edge list has as many as its largest number needs.
result<edge_lines> read_edge_list(const input_file& file, std::optional<std::size_t> nodes);
result<edge_lines> read_matrix_market(const input_file& file, std::optional<std::size_t> nodes);

/// Returns the number that `field` is, whole; nothing if it is not one.
std::optional<std::uint64_t> parse_index(std::string_view field) noexcept;
/// Returns the weight that `field` is, or says what is wrong with it.
result<float> parse_weight(std::string_view field);
/// Refuses a node count that comes from one large number instead of from data: a graph needs memory
/// for each node, whether it has edges or not.
result<void> check_node_count(const input_file& file, std::uint64_t nodes, std::uint64_t edges);

} // namespace engram
