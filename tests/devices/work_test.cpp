#include "engram/tests/devices/sample_work.hpp"

#include <gtest/gtest.h>

namespace engram {
namespace {

using test::batch_of;
using test::sample_work;

TEST(work, counts_the_items_that_requests_bring) {
  sample_work sample;
  const auto vectors = sample.collection(50, 8);
  const auto graph = sample.graph(30, 3);
  EXPECT_EQ(sample.search(vectors, 5, 3)->items(), 5u);
  EXPECT_EQ(sample.similarity(8, 7)->items(), 7u);
  EXPECT_EQ(sample.score(vectors, 9)->items(), 9u);
  EXPECT_EQ(sample.spread(graph, 4)->items(), 4u);
}

TEST(work, of_a_search_grows_with_the_collection_and_the_queries) {
  sample_work sample;
  const auto payload = sample.search(sample.collection(50, 8), 5, 3);
  EXPECT_DOUBLE_EQ(batch_of(payload)->work(), 5.0 * 50 * 8);
  EXPECT_DOUBLE_EQ(work_of(*payload, 2), 2.0 * 50 * 8);
}

TEST(work, of_similarity_and_score_is_pairs_times_dim) {
  sample_work sample;
  EXPECT_DOUBLE_EQ(batch_of(sample.similarity(8, 7))->work(), 7.0 * 8);
  EXPECT_DOUBLE_EQ(batch_of(sample.score(sample.collection(50, 8), 9))->work(), 9.0 * 8);
}

TEST(work, of_a_spread_grows_with_the_edges) {
  sample_work sample;
  const auto graph = sample.graph(30, 3);
  EXPECT_DOUBLE_EQ(batch_of(sample.spread(graph, 4))->work(),
                   4.0 * static_cast<double>(graph->graph()->edges()));
}

TEST(work, of_a_batch_is_that_of_the_parts_it_takes) {
  sample_work sample;
  const auto data = sample.collection(50, 8);
  const auto a = sample.search(data, 5, 3), b = sample.search(data, 6, 9);
  const auto batch = batch_of({{a, 1, 2}, {b, 0, 6}});
  EXPECT_EQ(batch->item_count(), 8u);
  EXPECT_DOUBLE_EQ(batch->work(), 8.0 * 50 * 8);
}

TEST(work, knows_the_bytes_that_travel) {
  sample_work sample;
  const auto data = sample.collection(50, 8);
  // Two queries of 8 numbers and a norm there; 3 hits and 50 hits (k is larger than the collection)
  // back.
  const auto search =
      batch_of({{sample.search(data, 4, 3), 2, 1}, {sample.search(data, 1, 2000), 0, 1}});
  EXPECT_EQ(input_bytes(*search), 2u * 9 * 4);
  EXPECT_EQ(output_bytes(*search), (3u + 50u) * sizeof(hit));

  const auto similarity = batch_of(sample.similarity(8, 7));
  EXPECT_EQ(input_bytes(*similarity), 8u * 8 * 4);
  EXPECT_EQ(output_bytes(*similarity), 7u * 4);

  const auto score = batch_of(sample.score(data, 9));
  EXPECT_EQ(input_bytes(*score), 8u * 4 + 9 * 4);
  EXPECT_EQ(output_bytes(*score), 9u * 4);
}

TEST(work, of_a_spread_without_a_limit_may_bring_back_every_node) {
  sample_work sample;
  auto payload = std::make_shared<work_payload>(*sample.spread(sample.graph(30, 3), 1));
  payload->seed_sets = {{{1, 0.5f}, {2, 0.5f}}};
  payload->spread.top = 0;
  EXPECT_EQ(input_bytes(*batch_of(payload)), 2u * sizeof(seed));
  EXPECT_EQ(output_bytes(*batch_of(payload)), 30u * sizeof(hit));
  payload->spread.top = 4;
  EXPECT_EQ(output_bytes(*batch_of(payload)), 4u * sizeof(hit));
}

} // namespace
} // namespace engram
