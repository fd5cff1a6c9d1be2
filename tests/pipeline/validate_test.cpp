// Bad requests are refused with the sentence that says what is wrong; the pipeline serves on.

#include "engram/pipeline/pipeline.hpp"
#include "engram/pipeline/validate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace {

using namespace engram;

struct bad_request {
  const char* name;
  request what;
  ec code;
  const char* sentence; ///< a part of it
};

void PrintTo(const bad_request& bad, std::ostream* out) {
  *out << bad.name;
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

const std::vector<bad_request>& bad_requests() {
  static const std::vector<bad_request> all{
      {"search_unknown_collection", search_request{"nowhere", {1, 2, 3}, 1, {}}, ec::not_found,
       "\"nowhere\""},
      {"search_in_a_graph", search_request{"graph", {1, 2, 3}, 1, {}}, ec::invalid_argument,
       "is a graph"},
      {"search_without_queries", search_request{"vectors", {}, 1, {}}, ec::invalid_argument,
       "queries is empty"},
      {"search_wrong_dim", search_request{"vectors", {1, 2, 3, 4}, 1, {}}, ec::invalid_argument,
       "no multiple of the dimension 3"},
      {"search_k_0", search_request{"vectors", {1, 2, 3}, 0, {}}, ec::invalid_argument,
       "k is 0; it must be within 1..2048"},
      {"search_k_2049", search_request{"vectors", {1, 2, 3}, 2049, {}}, ec::invalid_argument,
       "k is 2049"},
      {"search_nan", search_request{"vectors", {1, 2, 3, 4, nan, 6}, 1, {}}, ec::invalid_argument,
       "row 1, column 1"},
      {"search_infinity", search_request{"vectors", {1, 2, -infinity}, 1, {}}, ec::invalid_argument,
       "row 0, column 2"},
      {"search_deadline_0",
       search_request{
           "vectors", {1, 2, 3}, 1, {.deadline = duration::zero(), .priority = 0, .tenant = {}}},
       ec::invalid_argument, "deadline"},
      {"search_priority_9",
       search_request{"vectors", {1, 2, 3}, 1, {.deadline = {}, .priority = 9, .tenant = {}}},
       ec::invalid_argument, "priority is 9"},
      {"similarity_without_query", similarity_request{{}, {1, 2}, {}}, ec::invalid_argument,
       "1..8192"},
      {"similarity_without_targets", similarity_request{{1, 2}, {}, {}}, ec::invalid_argument,
       "targets is empty"},
      {"similarity_ragged", similarity_request{{1, 2}, {1, 2, 3}, {}}, ec::invalid_argument,
       "no multiple of the dimension 2"},
      {"similarity_too_wide",
       similarity_request{std::vector<float>(8193, 1.0f), std::vector<float>(8193, 1.0f), {}},
       ec::invalid_argument, "8193"},
      {"similarity_nan_target", similarity_request{{1, 2}, {1, 2, nan, 4}, {}},
       ec::invalid_argument, "targets has a NaN or an infinity at row 1, column 0"},
      {"score_unknown_id", score_request{"vectors", {1, 2, 3}, {0, 4}, {}}, ec::invalid_argument,
       "id 4 is unknown"},
      {"score_without_ids", score_request{"vectors", {1, 2, 3}, {}, {}}, ec::invalid_argument,
       "ids is empty"},
      {"score_two_queries", score_request{"vectors", {1, 2, 3, 4, 5, 6}, {0}, {}},
       ec::invalid_argument, "query has 6 numbers"},
      {"spread_on_a_collection", spread_request{"vectors", {{{0, 1.0f}}}, {}, {}},
       ec::invalid_argument, "needs a graph"},
      {"spread_unknown_node", spread_request{"graph", {{{7, 1.0f}}}, {}, {}}, ec::invalid_argument,
       "node 7 of seed set 0"},
      {"spread_amount_0", spread_request{"graph", {{{0, 0.0f}}}, {}, {}}, ec::invalid_argument,
       "amount of node 0"},
      {"spread_amount_nan", spread_request{"graph", {{{0, nan}}}, {}, {}}, ec::invalid_argument,
       "amount of node 0"},
      {"spread_without_seeds", spread_request{"graph", {}, {}, {}}, ec::invalid_argument,
       "seed_sets is empty"},
      {"spread_empty_set", spread_request{"graph", {{{0, 1.0f}}, {}}, {}, {}}, ec::invalid_argument,
       "seed set 1 is empty"},
      {"spread_hops_0", spread_request{"graph", {{{0, 1.0f}}}, {.max_hops = 0}, {}},
       ec::invalid_argument, "max_hops is 0"},
      {"spread_hops_65", spread_request{"graph", {{{0, 1.0f}}}, {.max_hops = 65}, {}},
       ec::invalid_argument, "max_hops is 65"},
      {"spread_decay_0", spread_request{"graph", {{{0, 1.0f}}}, {.decay = 0}, {}},
       ec::invalid_argument, "decay"},
      {"spread_threshold_1", spread_request{"graph", {{{0, 1.0f}}}, {.threshold = 1}, {}},
       ec::invalid_argument, "threshold"},
  };
  return all;
}

class bad_input : public ::testing::TestWithParam<bad_request> {
protected:
  static void SetUpTestSuite() {
    auto started = pipeline::start();
    ASSERT_TRUE(started);
    pipe = std::move(*started);
    const std::vector<float> rows{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1};
    ASSERT_TRUE(pipe->publish("vectors", *vector_collection::make({rows.data(), 4, 3})));
    ASSERT_TRUE(pipe->publish("graph", *activation_graph::make(3, {{0, 1, 0.5f}, {1, 2, 0.5f}})));
  }
  static void TearDownTestSuite() { pipe.reset(); }

  static std::unique_ptr<pipeline> pipe;
};

std::unique_ptr<pipeline> bad_input::pipe;

TEST_P(bad_input, is_refused_with_a_clear_sentence_and_the_next_request_is_served) {
  const auto got = pipe->submit(GetParam().what).get();
  EXPECT_EQ(got.failure.code, GetParam().code);
  EXPECT_NE(got.failure.message.find(GetParam().sentence), std::string::npos)
      << got.failure.message;
  EXPECT_TRUE(pipe->submit(search_request{"vectors", {1, 0, 0}, 1, {}}).get().ok());
  EXPECT_EQ(pipe->health().in_flight, 0u);
}

TEST(lent_numbers, give_the_same_answer_as_own_ones_and_are_let_go) {
  auto pipe = pipeline::start();
  ASSERT_TRUE(pipe);
  // The second target is so long that it must be rescaled, which is done to a copy.
  const std::vector<float> query{1, 2, 3}, targets{3, 2, 1, 1e30f, 2e30f, 3e30f};
  for (const std::size_t rows : {1u, 2u}) {
    const std::vector<float> some(targets.begin(), targets.begin() + 3 * rows);
    const auto own = (*pipe)->submit(similarity_request{query, some, {}}).get();
    auto owner = std::make_shared<std::vector<float>>(some);
    const std::span<const float> numbers{*owner};
    const std::weak_ptr<const void> watched = owner;
    auto lent = (*pipe)->submit(
        similarity_request{query, float_buffer::lent(numbers, std::move(owner)), {}});
    const auto given = lent.get();
    ASSERT_TRUE(given.ok()) << given.failure.message;
    EXPECT_EQ(given.output, own.output);
    (*pipe)->stop();
    EXPECT_TRUE(watched.expired());
    pipe = pipeline::start();
    ASSERT_TRUE(pipe);
  }
}

TEST(lent_numbers, reach_the_payload_without_a_copy) {
  const auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  catalog none;
  const auto work = to_payload(
      similarity_request{float_buffer::lent(*owner, owner), float_buffer::lent(*owner, owner), {}},
      none);
  ASSERT_TRUE(work);
  EXPECT_EQ((*work)->query_rows().data(), owner->data());
  EXPECT_EQ((*work)->target_rows().data(), owner->data());
}

INSTANTIATE_TEST_SUITE_P(each, bad_input, ::testing::ValuesIn(bad_requests()),
                         [](const auto& each) { return std::string{each.param.name}; });

} // namespace
