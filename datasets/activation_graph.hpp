#pragma once

#include "engram/base/error.hpp"
#include "engram/kernels/spread.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

/// One edge `source -> target`.
struct edge {
  node_id source = 0;
  node_id target = 0;
  float weight = 0.0f; ///< within [-1, 1]; negative inhibits
};

/// Returns the positions (earlier, later) of two edges between the same pair of nodes, those with
/// the smallest later position; nothing if every pair occurs once.
std::optional<std::pair<std::size_t, std::size_t>> find_duplicate_edge(std::span<const edge> edges);

/// A resident directed weighted graph, stored by target and by source, and optionally a label for
/// each node. Immutable, therefore thread-safe.
class activation_graph {
public:
  /// Builds the graph of `edges` in any order. `invalid_argument`: nodes = 0, an end that is not
  /// below `nodes`, a weight outside [-1, 1] or not a number, the same pair twice (each names the
  /// edge's position), labels that are neither empty nor one a node.
  static result<std::shared_ptr<const activation_graph>>
  make(std::size_t nodes, std::vector<edge> edges, std::vector<std::string> labels = {});

  /// Builds it from compressed rows by target: offsets [nodes + 1], sources and weights [edges];
  /// sources of one node in any order. Errors as above, and offsets that descend or do not end at
  /// `edges`.
  static result<std::shared_ptr<const activation_graph>>
  from_csr(std::span<const std::uint64_t> in_offsets, std::span<const node_id> in_sources,
           std::span<const float> in_weights, std::vector<std::string> labels = {});

  /// Returns a graph whose arrays lie elsewhere, in memory that `keeper` keeps alive. They are
  /// those of another graph and are not checked again; null pointers make a graph that has its
  /// shape alone.
  static std::shared_ptr<const activation_graph> borrow(const graph_view& view,
                                                        std::shared_ptr<const void> keeper);

  std::size_t nodes() const noexcept {
    return borrowed_ ? borrowed_->nodes : in_offsets_.size() - 1;
  }
  std::size_t edges() const noexcept { return borrowed_ ? borrowed_->edges : in_sources_.size(); }
  graph_view view() const noexcept;

  bool has_labels() const noexcept { return !labels_.empty(); }
  std::string_view label(std::size_t node) const noexcept {
    return labels_.empty() ? std::string_view{} : std::string_view{labels_[node]};
  }
  std::span<const std::string> labels() const noexcept { return labels_; }
  std::uint64_t resident_bytes() const noexcept;

private:
  activation_graph() = default;

  std::vector<std::uint64_t> in_offsets_{0}, out_offsets_{0};
  std::vector<node_id> in_sources_, out_targets_;
  std::vector<float> in_weights_, out_weights_;
  std::vector<std::string> labels_;
  std::shared_ptr<const void> keeper_; ///< of `borrowed_`
  std::optional<graph_view> borrowed_;
};

} // namespace engram
