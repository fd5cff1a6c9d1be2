#include "engram/kernels/spread.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace {

using namespace engram;

struct edge {
  node_id source;
  node_id target;
  float weight;
};

// A graph that owns its arrays. Of parallel edges the last one counts.
class graph {
public:
  graph(std::size_t nodes, const std::vector<edge>& edges) : nodes_(nodes) {
    std::map<std::pair<node_id, node_id>, float> by_target, by_source;
    for (const edge& e : edges) {
      by_target[{e.target, e.source}] = e.weight;
      by_source[{e.source, e.target}] = e.weight;
    }
    compress(by_target, in_offsets_, in_sources_, in_weights_);
    compress(by_source, out_offsets_, out_targets_, out_weights_);
  }

  graph_view view() const {
    return {nodes_,
            in_sources_.size(),
            in_offsets_.data(),
            in_sources_.data(),
            in_weights_.data(),
            out_offsets_.data(),
            out_targets_.data(),
            out_weights_.data()};
  }

private:
  void compress(const std::map<std::pair<node_id, node_id>, float>& edges,
                std::vector<std::uint64_t>& offsets, std::vector<node_id>& others,
                std::vector<float>& weights) const {
    offsets.assign(nodes_ + 1, 0);
    for (const auto& [ends, weight] : edges) {
      ++offsets[ends.first + 1];
      others.push_back(ends.second);
      weights.push_back(weight);
    }
    for (std::size_t j = 0; j < nodes_; ++j)
      offsets[j + 1] += offsets[j];
  }

  std::size_t nodes_;
  std::vector<std::uint64_t> in_offsets_, out_offsets_;
  std::vector<node_id> in_sources_, out_targets_;
  std::vector<float> in_weights_, out_weights_;
};

// Random weights of both signs, some self loops, and a hub that everything touches now and then.
graph random_graph(std::size_t nodes, std::size_t edges_per_node, unsigned seed_number) {
  std::mt19937 generator(seed_number);
  std::uniform_int_distribution<node_id> any(0, static_cast<node_id>(nodes - 1));
  std::uniform_real_distribution<float> weight(-0.6f, 1.0f);
  std::vector<edge> edges;
  for (node_id i = 0; i < nodes; ++i)
    for (std::size_t e = 0; e < edges_per_node; ++e)
      edges.push_back({i, any(generator), weight(generator)});
  for (node_id i = 0; i < nodes; i += 5) {
    edges.push_back({i, 0, weight(generator)});
    edges.push_back({0, i, weight(generator)});
    edges.push_back({i, i, weight(generator)});
  }
  return graph(nodes, edges);
}

std::vector<seed> random_seeds(std::size_t nodes, std::size_t count, unsigned seed_number) {
  std::mt19937 generator(seed_number);
  std::uniform_int_distribution<node_id> any(0, static_cast<node_id>(nodes - 1));
  std::uniform_real_distribution<float> amount(0.05f, 1.0f);
  std::vector<seed> seeds;
  for (std::size_t i = 0; i < count; ++i)
    seeds.push_back({any(generator), amount(generator)});
  return seeds;
}

void expect_equal(const spread_result& found, const spread_result& expected) {
  EXPECT_EQ(found.hits, expected.hits);
  EXPECT_EQ(found.hops, expected.hops);
}

TEST(spread, equals_the_reference_on_random_graphs) {
  spread_scratch scratch; // one for all: every call must leave it clean
  for (std::size_t nodes : {1, 2, 63, 64, 65, 500, 3000})
    for (std::size_t degree : {0, 1, 3, 16}) {
      const auto g = random_graph(nodes, degree, static_cast<unsigned>(nodes + degree));
      for (std::size_t seed_count : {1, 2, 20, 400})
        for (float threshold : {0.0f, 0.01f, 0.3f})
          for (std::uint32_t top : {0u, 1u, 100u}) {
            const auto seeds = random_seeds(nodes, seed_count, static_cast<unsigned>(seed_count));
            const spread_options options{4, 0.5f, threshold, top};
            SCOPED_TRACE(testing::Message()
                         << nodes << " nodes, degree " << degree << ", " << seed_count
                         << " seeds, threshold " << threshold << ", top " << top);
            expect_equal(spread(g.view(), seeds, options, scratch),
                         spread_reference(g.view(), seeds, options));
          }
    }
}

TEST(spread, equals_the_reference_for_every_number_of_hops_and_decay) {
  const auto g = random_graph(800, 4, 1);
  const auto seeds = random_seeds(800, 3, 2);
  spread_scratch scratch;
  for (float decay : {0.1f, 0.5f, 1.0f})
    for (std::uint32_t hops : {1u, 2u, 3u, 5u, 10u, 33u, 64u}) {
      const spread_options options{hops, decay, 0.0f, 0};
      expect_equal(spread(g.view(), seeds, options, scratch),
                   spread_reference(g.view(), seeds, options));
    }
}

TEST(spread, walks_sparsely_from_few_seeds_and_densely_from_many) {
  const auto g = random_graph(3000, 8, 3);
  spread_scratch scratch;
  const spread_options one_hop{1, 0.5f, 0.0f, 0};
  const auto few = spread(g.view(), random_seeds(3000, 1, 4), one_hop, scratch);
  EXPECT_LT(few.edges_touched, 700u);
  const auto many = spread(g.view(), random_seeds(3000, 9000, 5), one_hop, scratch);
  EXPECT_EQ(many.edges_touched, g.view().edges);
}

TEST(spread, a_chain_lights_up_one_node_a_hop) {
  const graph chain(4, {{0, 1, 1.0f}, {1, 2, 1.0f}, {2, 3, 1.0f}});
  spread_scratch scratch;
  const std::vector<seed> seeds = {{0, 1.0f}};
  auto result = spread(chain.view(), seeds, {2, 0.5f, 0.01f, 0}, scratch);
  EXPECT_EQ(result.hits, (std::vector<hit>{{0, 1.0f}, {1, 0.5f}, {2, 0.25f}}));
  EXPECT_EQ(result.hops, 2u);
  result = spread(chain.view(), seeds, {64, 0.5f, 0.01f, 0}, scratch);
  EXPECT_EQ(result.hits, (std::vector<hit>{{0, 1.0f}, {1, 0.5f}, {2, 0.25f}, {3, 0.125f}}));
  EXPECT_EQ(result.hops, 4u) << "the fourth hop finds that nothing moves any more";
}

TEST(spread, what_is_below_the_threshold_does_not_arrive) {
  const graph pair(2, {{0, 1, 0.5f}});
  spread_scratch scratch;
  const std::vector<seed> seeds = {{0, 1.0f}};
  EXPECT_EQ(spread(pair.view(), seeds, {3, 0.5f, 0.25f, 0}, scratch).hits.size(), 2u);
  EXPECT_EQ(spread(pair.view(), seeds, {3, 0.5f, 0.26f, 0}, scratch).hits.size(), 1u);
}

TEST(spread, inhibition_lowers_and_never_goes_below_zero) {
  const graph inhibiting(3, {{0, 2, -1.0f}, {1, 2, 0.5f}});
  spread_scratch scratch;
  const std::vector<seed> seeds = {{0, 0.5f}, {2, 0.75f}};
  EXPECT_EQ(spread(inhibiting.view(), seeds, {1, 1.0f, 0.0f, 0}, scratch).hits,
            (std::vector<hit>{{0, 0.5f}, {2, 0.25f}}));
  const std::vector<seed> strong = {{0, 1.0f}, {2, 0.75f}};
  EXPECT_EQ(spread(inhibiting.view(), strong, {1, 1.0f, 0.0f, 0}, scratch).hits,
            (std::vector<hit>{{0, 1.0f}}));
}

TEST(spread, seeds_of_one_node_add_up_to_at_most_one) {
  const graph lonely(3, {});
  spread_scratch scratch;
  const std::vector<seed> seeds = {{1, 0.25f}, {1, 0.5f}, {2, 0.75f}, {2, 0.75f}, {1, 0.125f}};
  const auto result = spread(lonely.view(), seeds, {3, 0.5f, 0.01f, 0}, scratch);
  EXPECT_EQ(result.hits, (std::vector<hit>{{2, 1.0f}, {1, 0.875f}}));
  expect_equal(result, spread_reference(lonely.view(), seeds, {3, 0.5f, 0.01f, 0}));
}

TEST(spread, no_seeds_light_nothing) {
  const auto g = random_graph(100, 3, 6);
  spread_scratch scratch;
  const auto result = spread(g.view(), {}, {}, scratch);
  EXPECT_TRUE(result.hits.empty());
  EXPECT_EQ(result.hops, 0u);
}

TEST(spread, one_scratch_serves_graphs_of_any_size) {
  spread_scratch scratch;
  for (std::size_t nodes : {1000, 10, 70, 2000}) {
    const auto g = random_graph(nodes, 5, static_cast<unsigned>(nodes));
    const auto seeds = random_seeds(nodes, 4, 7);
    const spread_options options{3, 0.9f, 0.0f, 50};
    expect_equal(spread(g.view(), seeds, options, scratch),
                 spread_reference(g.view(), seeds, options));
  }
}

// Spec section 1.4, hop by hop: one hop from a state that both share. Exactness over several hops
// then follows from equality with the reference.
TEST(spread, one_hop_is_near_float64) {
  const auto g = random_graph(400, 12, 8);
  const graph_view view = g.view();
  const auto seeds = random_seeds(400, 150, 9);
  const spread_options options{1, 0.7f, 0.0f, 0};
  spread_scratch scratch;
  const auto result = spread(view, seeds, options, scratch);

  std::vector<double> start(400, 0.0), found(400, 0.0);
  for (const seed& s : seeds)
    start[s.node] += s.amount;
  for (double& a : start)
    a = std::min(a, 1.0);
  for (const hit& h : result.hits)
    found[h.id] = h.score;
  for (std::size_t j = 0; j < 400; ++j) {
    double sum = 0, magnitude = 0;
    for (auto e = view.in_offsets[j]; e < view.in_offsets[j + 1]; ++e) {
      const double term = view.in_weights[e] * start[view.in_sources[e]];
      sum += term;
      magnitude += std::fabs(term);
    }
    const double expected =
        std::clamp(start[j] + static_cast<double>(options.decay) * sum, 0.0, 1.0);
    EXPECT_NEAR(found[j], expected, 1e-6 * (1 + magnitude)) << j;
  }
}

} // namespace
