#include "engram/kernels/spread.hpp"

#include <algorithm>
#include <cmath>

namespace engram {

spread_result spread_reference(const graph_view& graph, std::span<const seed> seeds,
                               const spread_options& options) {
  std::vector<float> activation(graph.nodes, 0.0f);
  for (const seed& s : seeds)
    activation[s.node] += s.amount;
  for (float& a : activation)
    a = std::min(a, 1.0f);

  spread_result result;
  std::vector<float> delta = activation;
  const auto is_moving = [](float d) { return d != 0.0f; };
  while (result.hops < options.max_hops && std::any_of(delta.begin(), delta.end(), is_moving)) {
    std::vector<float> next_delta(graph.nodes);
    for (std::size_t j = 0; j < graph.nodes; ++j) {
      double sum = 0.0;
      for (std::uint64_t e = graph.in_offsets[j]; e < graph.in_offsets[j + 1]; ++e)
        sum += static_cast<double>(graph.in_weights[e]) * delta[graph.in_sources[e]];
      float in = static_cast<float>(static_cast<double>(options.decay) * sum);
      if (std::fabs(in) < options.threshold) in = 0.0f;
      const float next = std::clamp(activation[j] + in, 0.0f, 1.0f);
      next_delta[j] = next - activation[j];
      activation[j] = next;
    }
    delta = std::move(next_delta);
    result.edges_touched += graph.edges;
    ++result.hops;
  }

  for (std::size_t j = 0; j < graph.nodes; ++j)
    if (activation[j] > 0.0f) result.hits.push_back({static_cast<node_id>(j), activation[j]});
  std::sort(result.hits.begin(), result.hits.end(), ranks_before);
  if (options.top != 0 && result.hits.size() > options.top) result.hits.resize(options.top);
  return result;
}

} // namespace engram
