#include "engram/service/request_body.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

namespace engram::test {

request_body read(operation op, const std::string& text) {
  std::istringstream in{text};
  auto body = read_request_body(op, in);
  EXPECT_TRUE(body) << body.error().message;
  return body ? *body : request_body{};
}

TEST(request_body, keeps_what_was_given_and_nothing_else) {
  const auto body = read(operation::search,
                         R"({"collection":"c","k":7,"priority":-3,"deadline_ms":2.5,"tenant":""})");
  EXPECT_EQ(body.collection, "c");
  EXPECT_EQ(body.k, 7u);
  EXPECT_EQ(body.priority, -3);
  EXPECT_EQ(body.deadline_ms, 2.5);
  EXPECT_EQ(body.tenant, "");
  EXPECT_FALSE(body.query || body.queries || body.text || body.graph || body.ids || body.seed_sets);
}

TEST(request_body, rows_are_joined_and_counted) {
  const auto body = read(operation::similarity, R"({"targets":[[1,2,3],[-4,5e0,0.5]],"query":[]})");
  EXPECT_EQ(body.targets->rows, 2u);
  EXPECT_EQ(body.targets->dim, 3u);
  EXPECT_EQ(body.targets->values, (std::vector<float>{1, 2, 3, -4, 5, 0.5f}));
  EXPECT_EQ(body.query->rows, 1u);
  EXPECT_EQ(body.query->dim, 0u);
}

TEST(request_body, numbers_are_rounded_once) {
  // Just above the middle of two float32: through a double it becomes the middle and then the even,
  // lower one.
  const auto body = read(operation::similarity, R"({"query":[1.00000005960464477540]})");
  EXPECT_EQ(body.query->values.at(0), std::nextafter(1.0f, 2.0f));
}

TEST(request_body, numbers_too_small_for_float32_become_zero) {
  const auto body = read(operation::similarity, R"({"query":[1e-60,-1e-60,1e-40]})");
  EXPECT_EQ(body.query->values.at(0), 0.0f);
  EXPECT_TRUE(std::signbit(body.query->values.at(1)));
  EXPECT_EQ(body.query->values.at(2), 1e-40f);
}

TEST(request_body, seeds_are_one_seed_set) {
  const auto body = read(operation::spread,
                         R"({"graph":"g","seeds":[{"amount":0.25,"node":3},{"label":"dog"}]})");
  ASSERT_EQ(body.seed_sets->size(), 1u);
  const auto& seeds = body.seed_sets->front();
  ASSERT_EQ(seeds.size(), 2u);
  EXPECT_EQ(seeds[0].node, 3u);
  EXPECT_EQ(seeds[0].amount, 0.25f);
  EXPECT_FALSE(seeds[0].label);
  EXPECT_EQ(seeds[1].label, "dog");
  EXPECT_EQ(seeds[1].amount, 1.0f);
}

TEST(request_body, seed_sets_may_be_empty_and_unequal) {
  const auto body =
      read(operation::spread, R"({"seed_sets":[[{"node":0}],[],[{"node":1},{"node":2}]]})");
  ASSERT_EQ(body.seed_sets->size(), 3u);
  EXPECT_EQ((*body.seed_sets)[0].size(), 1u);
  EXPECT_EQ((*body.seed_sets)[1].size(), 0u);
  EXPECT_EQ((*body.seed_sets)[2].size(), 2u);
}

TEST(request_body, an_error_quotes_a_bounded_part_of_the_body) {
  std::istringstream in{"{\"text\":\"" + std::string(100'000, 'x') + "\n\"}"};
  const auto body = read_request_body(operation::search, in);
  ASSERT_FALSE(body);
  EXPECT_LT(body.error().message.size(), 400u);
}

} // namespace engram::test
