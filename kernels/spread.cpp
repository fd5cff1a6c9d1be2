#include "engram/kernels/spread.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

// Two walks give the same bits. The dense one pulls: for every node, over its incoming edges. The
// sparse one pushes: for every moving node in ascending order, over its outgoing edges into one
// float64 accumulator a node; so each accumulator receives its terms in ascending source order too.
// The terms that the sparse walk leaves out are products with 0, which change no sum that starts at
// +0.
//
// Between calls every per-node array is all zero: a call cleans up what it touched, so that a small
// spread in a large graph costs what it touches and no more.
namespace engram {
namespace {

// A set of nodes that yields its members in ascending order.
class node_set {
public:
  void fit(std::size_t nodes) { words_.resize((nodes + 63) / 64); }

  void insert(node_id node) noexcept { words_[node / 64] |= std::uint64_t{1} << node % 64; }

  template <class F>
  void for_each(F&& f) const {
    for (std::size_t w = 0; w < words_.size(); ++w)
      for (std::uint64_t bits = words_[w]; bits != 0; bits &= bits - 1)
        f(static_cast<node_id>(w * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
  }

  /// Hands out all members in ascending order and empties the set.
  template <class F>
  void drain(F&& f) {
    for_each(f);
    std::fill(words_.begin(), words_.end(), 0);
  }

private:
  std::vector<std::uint64_t> words_;
};

} // namespace

struct spread_scratch::impl {
  std::vector<float> activation; // [nodes]
  std::vector<float> delta;      // [nodes]; zero but for the frontier
  std::vector<double> incoming;  // [nodes]; zero between hops
  std::vector<node_id> frontier; // the nodes whose delta is not zero, ascending
  node_set reached;              // nodes that received something in this hop
  node_set seen;                 // nodes whose activation was ever set in this call

  void fit(std::size_t nodes) {
    activation.resize(nodes);
    delta.resize(nodes);
    incoming.resize(nodes);
    reached.fit(nodes);
    seen.fit(nodes);
  }
};

spread_scratch::spread_scratch() : impl_(std::make_unique<impl>()) {}
spread_scratch::~spread_scratch() = default;
spread_scratch::spread_scratch(spread_scratch&&) noexcept = default;
spread_scratch& spread_scratch::operator=(spread_scratch&&) noexcept = default;

namespace {

class spreading {
public:
  spreading(const graph_view& graph, const spread_options& options, spread_scratch::impl& state)
      : graph_(graph), options_(options), state_(state) {
    state_.fit(graph.nodes);
  }

  spread_result run(std::span<const seed> seeds) {
    plant(seeds);
    spread_result result;
    while (result.hops < options_.max_hops && !state_.frontier.empty()) {
      result.edges_touched += hop();
      ++result.hops;
    }
    result.hits = collect();
    return result;
  }

private:
  void plant(std::span<const seed> seeds) {
    for (const seed& s : seeds) {
      state_.activation[s.node] += s.amount;
      state_.seen.insert(s.node);
    }
    state_.frontier.clear();
    state_.seen.for_each([this](node_id node) {
      float& a = state_.activation[node];
      a = std::min(a, 1.0f);
      move(node, a);
    });
  }

  void move(node_id node, float delta) {
    state_.delta[node] = delta;
    if (delta != 0.0f) state_.frontier.push_back(node);
  }

  // Returns the number of edges touched.
  std::uint64_t hop() {
    std::uint64_t leaving = 0;
    for (node_id i : state_.frontier)
      leaving += graph_.out_offsets[i + 1] - graph_.out_offsets[i];
    // A push is a read and a write at a random place, a pull a read at one; and the pull visits
    // every node.
    if (2 * leaving >= graph_.edges + graph_.nodes) {
      pull();
      return graph_.edges;
    }
    push();
    return leaving;
  }

  void push() {
    for (node_id i : state_.frontier) {
      const double delta = state_.delta[i];
      state_.delta[i] = 0.0f;
      for (std::uint64_t e = graph_.out_offsets[i]; e < graph_.out_offsets[i + 1]; ++e) {
        const node_id target = graph_.out_targets[e];
        state_.incoming[target] += static_cast<double>(graph_.out_weights[e]) * delta;
        state_.reached.insert(target);
      }
    }
    state_.frontier.clear();
    state_.reached.drain([this](node_id j) {
      receive(j, state_.incoming[j]);
      state_.incoming[j] = 0.0;
    });
  }

  void pull() {
    for (std::size_t j = 0; j < graph_.nodes; ++j) {
      double sum = 0.0;
      for (std::uint64_t e = graph_.in_offsets[j]; e < graph_.in_offsets[j + 1]; ++e)
        sum += static_cast<double>(graph_.in_weights[e]) * state_.delta[graph_.in_sources[e]];
      state_.incoming[j] = sum;
    }
    // Only now: every pull of this hop reads the deltas of the last one.
    for (node_id i : state_.frontier)
      state_.delta[i] = 0.0f;
    state_.frontier.clear();
    for (std::size_t j = 0; j < graph_.nodes; ++j) {
      if (state_.incoming[j] != 0.0) receive(static_cast<node_id>(j), state_.incoming[j]);
      state_.incoming[j] = 0.0;
    }
  }

  void receive(node_id node, double sum) {
    const float in = static_cast<float>(static_cast<double>(options_.decay) * sum);
    if (std::fabs(in) < options_.threshold) return;
    float& a = state_.activation[node];
    const float next = std::clamp(a + in, 0.0f, 1.0f);
    move(node, next - a);
    a = next;
    state_.seen.insert(node);
  }

  // Returns the answer and leaves the scratch as a new call expects it.
  std::vector<hit> collect() {
    std::vector<hit> hits;
    state_.seen.drain([&](node_id node) {
      if (state_.activation[node] > 0.0f) hits.push_back({node, state_.activation[node]});
      state_.activation[node] = 0.0f;
    });
    for (node_id node : state_.frontier)
      state_.delta[node] = 0.0f;

    if (options_.top != 0 && hits.size() > options_.top) {
      const auto end_of_top = hits.begin() + static_cast<std::ptrdiff_t>(options_.top);
      std::nth_element(hits.begin(), end_of_top, hits.end(), ranks_before);
      hits.erase(end_of_top, hits.end());
    }
    std::sort(hits.begin(), hits.end(), ranks_before);
    return hits;
  }

  const graph_view& graph_;
  const spread_options& options_;
  spread_scratch::impl& state_;
};

} // namespace

spread_result spread(const graph_view& graph, std::span<const seed> seeds,
                     const spread_options& options, spread_scratch& scratch) {
  return spreading(graph, options, scratch.get()).run(seeds);
}

} // namespace engram
