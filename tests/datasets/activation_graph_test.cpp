#include "engram/datasets/activation_graph.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace engram {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using triple = std::tuple<node_id, node_id, float>;

/// Lists the edges as the rows by target tell them, in their order.
std::vector<triple> by_target(const graph_view& view) {
  std::vector<triple> out;
  for (node_id j = 0; j < view.nodes; ++j)
    for (auto e = view.in_offsets[j]; e < view.in_offsets[j + 1]; ++e)
      out.emplace_back(view.in_sources[e], j, view.in_weights[e]);
  return out;
}

std::vector<triple> by_source(const graph_view& view) {
  std::vector<triple> out;
  for (node_id i = 0; i < view.nodes; ++i)
    for (auto e = view.out_offsets[i]; e < view.out_offsets[i + 1]; ++e)
      out.emplace_back(i, view.out_targets[e], view.out_weights[e]);
  return out;
}

TEST(activation_graph, stores_edges_by_target_with_sources_ascending) {
  const auto made =
      activation_graph::make(4, {{3, 1, 0.5f}, {0, 1, -1.0f}, {2, 0, 0.25f}, {1, 1, 1.0f}});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ((*made)->nodes(), 4u);
  EXPECT_EQ((*made)->edges(), 4u);
  EXPECT_THAT(by_target((*made)->view()), ElementsAre(triple{2, 0, 0.25f}, triple{0, 1, -1.0f},
                                                      triple{1, 1, 1.0f}, triple{3, 1, 0.5f}));
}

TEST(activation_graph, stores_the_same_edges_by_source_with_targets_ascending) {
  std::mt19937 random(5);
  std::set<std::pair<node_id, node_id>> pairs;
  while (pairs.size() < 2000)
    pairs.emplace(random() % 100, random() % 100);
  std::vector<edge> edges;
  for (const auto& [source, target] : pairs)
    edges.push_back({source, target, static_cast<float>(random() % 201) / 100.0f - 1.0f});
  std::shuffle(edges.begin(), edges.end(), random);
  const auto made = activation_graph::make(100, edges);
  ASSERT_TRUE(made);

  std::vector<triple> expected;
  for (const edge& e : edges)
    expected.emplace_back(e.source, e.target, e.weight);
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(by_source((*made)->view()), expected);
  auto incoming = by_target((*made)->view());
  EXPECT_TRUE(
      std::is_sorted(incoming.begin(), incoming.end(), [](const triple& a, const triple& b) {
        return std::pair(std::get<1>(a), std::get<0>(a)) <
               std::pair(std::get<1>(b), std::get<0>(b));
      }));
  std::sort(incoming.begin(), incoming.end());
  EXPECT_EQ(incoming, expected);
}

TEST(activation_graph, may_have_no_edge_at_all) {
  const auto made = activation_graph::make(3, {}, {"a", "b", "c"});
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->edges(), 0u);
  EXPECT_EQ((*made)->label(2), "c");
  EXPECT_EQ((*made)->view().in_offsets[3], 0u);
}

struct bad_graph {
  std::size_t nodes;
  std::vector<edge> edges;
  std::vector<std::string> labels;
  std::string message;
};

TEST(activation_graph, refuses_what_breaks_a_rule_and_names_the_edge) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<bad_graph> cases{
      {0, {}, {}, "1 to 4294967295 nodes, not 0"},
      {2, {{0, 1, 1.0f}, {1, 2, 1.0f}}, {}, "edge 1 (1 -> 2) has an end that is not below 2"},
      {2, {{7, 1, 1.0f}}, {}, "edge 0 (7 -> 1) has an end that is not below 2"},
      {2, {{0, 1, 1.5f}}, {}, "edge 0 (0 -> 1) has weight 1.5"},
      {2, {{0, 1, -1.001f}}, {}, "has weight -1.001"},
      {2, {{0, 1, nan}}, {}, "has weight nan"},
      {3,
       {{0, 1, 1.0f}, {1, 2, 1.0f}, {0, 1, 0.5f}, {1, 2, 1.0f}},
       {},
       "edge 2 (0 -> 1) is there already as edge 0"},
      {3, {{0, 1, 1.0f}}, {"a"}, "1 labels for 3 nodes"},
  };
  for (const auto& bad : cases) {
    const auto made = activation_graph::make(bad.nodes, bad.edges, bad.labels);
    ASSERT_FALSE(made) << bad.message;
    EXPECT_EQ(made.error().code, ec::invalid_argument);
    EXPECT_THAT(made.error().message, HasSubstr(bad.message));
  }
}

TEST(activation_graph, is_the_same_from_compressed_rows) {
  const std::vector<std::uint64_t> offsets{0, 1, 1, 4};
  const std::vector<node_id> sources{2, 2, 0, 1}; // of node 2 in any order
  const std::vector<float> weights{0.5f, 0.1f, 0.2f, 0.3f};
  const auto made = activation_graph::from_csr(offsets, sources, weights, {"a", "b", "c"});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_THAT(by_target((*made)->view()), ElementsAre(triple{2, 0, 0.5f}, triple{0, 2, 0.2f},
                                                      triple{1, 2, 0.3f}, triple{2, 2, 0.1f}));
  EXPECT_EQ((*made)->label(1), "b");
}

TEST(activation_graph, refuses_bad_compressed_rows) {
  struct bad_rows {
    std::vector<std::uint64_t> offsets;
    std::vector<node_id> sources;
    std::vector<float> weights;
    std::string message;
  };
  const std::vector<bad_rows> cases{
      {{}, {}, {}, "not 0"},
      {{0}, {}, {}, "not 0"},
      {{0, 1}, {0}, {}, "1 sources but 0 weights"},
      {{1, 1}, {0}, {1.0f}, "offsets go from 1 to 1"},
      {{0, 2}, {0}, {1.0f}, "offsets go from 0 to 2"},
      {{0, 2, 1}, {0}, {1.0f}, "the offset of node 2 is smaller"},
      {{0, 1}, {1}, {1.0f}, "edge 0 (1 -> 0) has an end"},
      {{0, 2}, {0, 0}, {1.0f, 1.0f}, "edge 1 (0 -> 0) is there already as edge 0"},
  };
  for (const auto& bad : cases) {
    const auto made = activation_graph::from_csr(bad.offsets, bad.sources, bad.weights);
    ASSERT_FALSE(made) << bad.message;
    EXPECT_EQ(made.error().code, ec::invalid_argument);
    EXPECT_THAT(made.error().message, HasSubstr(bad.message));
  }
}

} // namespace
} // namespace engram
