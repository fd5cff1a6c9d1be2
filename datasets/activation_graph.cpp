#include "engram/datasets/activation_graph.hpp"

#include "engram/datasets/number_text.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <tuple>

namespace engram {

namespace {

/// Compressed rows of one direction: the edges of row r go to ends[offsets[r] .. offsets[r + 1]).
struct compressed_rows {
  std::vector<std::uint64_t> offsets;
  std::vector<node_id> ends;
  std::vector<float> weights;
};

/// Prepares rows for `count_of(r)` edges each; what follows fills them.
compressed_rows empty_rows(std::size_t nodes, std::size_t edges) {
  return {std::vector<std::uint64_t>(nodes + 1), std::vector<node_id>(edges),
          std::vector<float>(edges)};
}

/// Turns counts, held one place up, into the offsets where each row begins.
void accumulate(std::vector<std::uint64_t>& offsets) {
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
}

/// Returns the same edges the other way round. Walking the rows in ascending order leaves the ends
/// of every new row ascending, whatever the order in the old ones was.
compressed_rows transposed(std::span<const std::uint64_t> offsets, std::span<const node_id> ends,
                           std::span<const float> weights) {
  const std::size_t nodes = offsets.size() - 1;
  auto out = empty_rows(nodes, ends.size());
  for (const node_id end : ends)
    ++out.offsets[end + std::size_t{1}];
  accumulate(out.offsets);
  std::vector<std::uint64_t> next(out.offsets.begin(), out.offsets.end() - 1);
  for (std::size_t r = 0; r < nodes; ++r) {
    for (std::uint64_t e = offsets[r]; e < offsets[r + 1]; ++e) {
      const std::uint64_t place = next[ends[e]]++;
      out.ends[place] = static_cast<node_id>(r);
      out.weights[place] = weights[e];
    }
  }
  return out;
}

compressed_rows transposed(const compressed_rows& rows) {
  return transposed(rows.offsets, rows.ends, rows.weights);
}

/// Returns the edges by source, in the order given within a source.
compressed_rows by_source(std::size_t nodes, std::span<const edge> edges) {
  auto out = empty_rows(nodes, edges.size());
  for (const edge& e : edges)
    ++out.offsets[e.source + std::size_t{1}];
  accumulate(out.offsets);
  std::vector<std::uint64_t> next(out.offsets.begin(), out.offsets.end() - 1);
  for (const edge& e : edges) {
    const std::uint64_t place = next[e.source]++;
    out.ends[place] = e.target;
    out.weights[place] = e.weight;
  }
  return out;
}

/// Returns a row that has the same end twice; nothing if none has. Ends ascend within a row.
std::optional<std::size_t> row_with_duplicate(const compressed_rows& rows) {
  for (std::size_t r = 0; r + 1 < rows.offsets.size(); ++r) {
    const auto first = rows.ends.begin() + static_cast<std::ptrdiff_t>(rows.offsets[r]);
    const auto last = rows.ends.begin() + static_cast<std::ptrdiff_t>(rows.offsets[r + 1]);
    if (std::adjacent_find(first, last) != last) return r;
  }
  return std::nullopt;
}

std::string describe(std::size_t position, const edge& e) {
  return "edge " + std::to_string(position) + " (" + std::to_string(e.source) + " -> " +
         std::to_string(e.target) + ")";
}

std::optional<error> shape_problem(std::size_t nodes, std::size_t labels) {
  if (nodes == 0 || nodes > std::numeric_limits<node_id>::max())
    return error{ec::invalid_argument,
                 "a graph has 1 to 4294967295 nodes, not " + std::to_string(nodes)};
  if (labels != 0 && labels != nodes)
    return error{ec::invalid_argument, std::to_string(labels) + " labels for " +
                                           std::to_string(nodes) +
                                           " nodes; give one label a node or none"};
  return std::nullopt;
}

std::optional<error> edge_problem(std::size_t nodes, std::size_t position, const edge& e) {
  if (e.source >= nodes || e.target >= nodes)
    return error{ec::invalid_argument, describe(position, e) + " has an end that is not below " +
                                           std::to_string(nodes) + ", the number of nodes"};
  if (!(e.weight >= -1.0f && e.weight <= 1.0f))
    return error{ec::invalid_argument, describe(position, e) + " has weight " +
                                           number_text(e.weight) + ", which is not within [-1, 1]"};
  return std::nullopt;
}

error duplicate_error(std::size_t earlier, std::size_t later, const edge& e) {
  return {ec::invalid_argument, describe(later, e) + " is there already as edge " +
                                    std::to_string(earlier) + "; give each pair of nodes one edge"};
}

} // namespace

std::optional<std::pair<std::size_t, std::size_t>>
find_duplicate_edge(std::span<const edge> edges) {
  std::vector<std::size_t> order(edges.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(edges[a].source, edges[a].target, a) <
           std::tuple(edges[b].source, edges[b].target, b);
  });
  std::optional<std::pair<std::size_t, std::size_t>> found;
  for (std::size_t i = 1; i < order.size(); ++i) {
    const edge& a = edges[order[i - 1]];
    const edge& b = edges[order[i]];
    if (a.source != b.source || a.target != b.target) continue;
    if (!found || order[i] < found->second) found = {order[i - 1], order[i]};
  }
  return found;
}

result<std::shared_ptr<const activation_graph>>
activation_graph::make(std::size_t nodes, std::vector<edge> edges,
                       std::vector<std::string> labels) {
  if (auto problem = shape_problem(nodes, labels.size())) return *std::move(problem);
  for (std::size_t i = 0; i < edges.size(); ++i)
    if (auto problem = edge_problem(nodes, i, edges[i])) return *std::move(problem);

  auto in = transposed(by_source(nodes, edges));
  if (row_with_duplicate(in)) {
    const auto [earlier, later] = *find_duplicate_edge(edges);
    return duplicate_error(earlier, later, edges[later]);
  }
  edges = {}; // not needed beside both directions
  auto out = transposed(in);
  std::shared_ptr<activation_graph> graph(new activation_graph);
  graph->in_offsets_ = std::move(in.offsets);
  graph->in_sources_ = std::move(in.ends);
  graph->in_weights_ = std::move(in.weights);
  graph->out_offsets_ = std::move(out.offsets);
  graph->out_targets_ = std::move(out.ends);
  graph->out_weights_ = std::move(out.weights);
  graph->labels_ = std::move(labels);
  return std::shared_ptr<const activation_graph>(std::move(graph));
}

result<std::shared_ptr<const activation_graph>>
activation_graph::from_csr(std::span<const std::uint64_t> in_offsets,
                           std::span<const node_id> in_sources, std::span<const float> in_weights,
                           std::vector<std::string> labels) {
  const std::size_t nodes = in_offsets.empty() ? 0 : in_offsets.size() - 1;
  if (auto problem = shape_problem(nodes, labels.size())) return *std::move(problem);
  if (in_sources.size() != in_weights.size())
    return error{ec::invalid_argument, std::to_string(in_sources.size()) + " sources but " +
                                           std::to_string(in_weights.size()) +
                                           " weights; every edge needs both"};
  if (in_offsets.front() != 0 || in_offsets.back() != in_sources.size())
    return error{ec::invalid_argument, "offsets go from " + std::to_string(in_offsets.front()) +
                                           " to " + std::to_string(in_offsets.back()) +
                                           "; they must go from 0 to the number of edges, " +
                                           std::to_string(in_sources.size())};
  for (std::size_t j = 0; j < nodes; ++j)
    if (in_offsets[j] > in_offsets[j + 1])
      return error{ec::invalid_argument, "the offset of node " + std::to_string(j + 1) +
                                             " is smaller than the one before it; offsets "
                                             "must ascend"};
  std::vector<edge> edges(in_sources.size());
  for (std::size_t j = 0; j < nodes; ++j)
    for (std::uint64_t e = in_offsets[j]; e < in_offsets[j + 1]; ++e)
      edges[e] = {in_sources[e], static_cast<node_id>(j), in_weights[e]};
  return make(nodes, std::move(edges), std::move(labels));
}

std::shared_ptr<const activation_graph>
activation_graph::borrow(const graph_view& view, std::shared_ptr<const void> keeper) {
  std::shared_ptr<activation_graph> made{new activation_graph};
  made->borrowed_ = view;
  made->keeper_ = std::move(keeper);
  return made;
}

graph_view activation_graph::view() const noexcept {
  if (borrowed_) return *borrowed_;
  return {nodes(),
          edges(),
          in_offsets_.data(),
          in_sources_.data(),
          in_weights_.data(),
          out_offsets_.data(),
          out_targets_.data(),
          out_weights_.data()};
}

std::uint64_t activation_graph::resident_bytes() const noexcept {
  return 2 * ((nodes() + 1) * sizeof(std::uint64_t) + edges() * (sizeof(node_id) + sizeof(float)));
}

} // namespace engram
