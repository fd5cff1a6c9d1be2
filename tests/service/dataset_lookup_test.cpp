#include "engram/service/dataset_lookup.hpp"

#include <gtest/gtest.h>

namespace engram::test {

dataset_ptr graph_of(std::vector<edge> edges, std::vector<std::string> labels, std::size_t nodes,
                     std::uint64_t key = 1) {
  auto made = activation_graph::make(nodes, std::move(edges), std::move(labels));
  EXPECT_TRUE(made) << made.error().message;
  return std::make_shared<const dataset>(dataset{"g", 1, *made, key});
}

TEST(label_index, prefers_a_first_name_then_more_edges_then_the_lower_number) {
  const auto data = graph_of({{0, 3, 1.0f}, {0, 4, 1.0f}, {3, 0, 1.0f}, {2, 1, 1.0f}},
                             {"cad, dog", "dog", "dog, domestic dog", "cat", "cat"}, 5);
  const label_index index{*data->graph()};
  EXPECT_EQ(index.find("dog"),
            1u); // as many edges as node 2; node 0 has more but another first name
  EXPECT_EQ(index.find("domestic dog"), 2u);
  EXPECT_EQ(index.find("cat"), 3u);
  EXPECT_EQ(index.find("mouse"), std::nullopt);
}

TEST(label_index, takes_case_and_underscores_lightly) {
  const auto data = graph_of({}, {"Canis_familiaris"}, 1);
  EXPECT_EQ(label_index{*data->graph()}.find("canis Familiaris"), 0u);
}

TEST(label_finder, tells_versions_apart) {
  label_finder finder;
  const auto first = graph_of({}, {"a", "b"}, 2, 1);
  const auto second = graph_of({}, {"b", "a"}, 2, 2);
  EXPECT_EQ(*finder.find(first, "a"), 0u);
  EXPECT_EQ(*finder.find(second, "a"), 1u);
  EXPECT_EQ(*finder.find(first, "a"), 0u);
}

TEST(label_finder, says_when_there_is_nothing_to_find) {
  label_finder finder;
  const auto unnamed = finder.find(graph_of({}, {}, 2), "a");
  ASSERT_FALSE(unnamed);
  EXPECT_EQ(unnamed.error().code, ec::invalid_argument);
  const auto unknown = finder.find(graph_of({}, {"x"}, 1, 2), "a");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ec::not_found);
}

} // namespace engram::test
