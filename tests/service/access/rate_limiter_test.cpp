#include "engram/service/access/rate_limiter.hpp"

#include <gtest/gtest.h>

namespace engram {
namespace {

using namespace std::chrono_literals;

constexpr time_point start{1h};

rate_limiter limiter_of(double rate, double burst, std::size_t most_clients = 10) {
  rate_limiter out{most_clients};
  out.set_limit({.requests_per_second = rate, .burst = burst});
  return out;
}

TEST(rate_limiter, lets_everything_pass_and_remembers_nobody_without_a_rate) {
  auto limiter = limiter_of(0, 1);
  for (int i = 0; i < 100; ++i)
    EXPECT_FALSE(limiter.take("somebody", start));
  EXPECT_EQ(limiter.clients(), 0u);
}

TEST(rate_limiter, takes_a_burst_and_then_says_how_long_to_wait) {
  auto limiter = limiter_of(4, 3);
  for (int i = 0; i < 3; ++i)
    EXPECT_FALSE(limiter.take("somebody", start)) << i;
  const auto wait = limiter.take("somebody", start);
  ASSERT_TRUE(wait);
  EXPECT_EQ(*wait, 250ms);
  EXPECT_TRUE(limiter.take("somebody", start + 249ms));
  EXPECT_FALSE(limiter.take("somebody", start + 250ms));
  EXPECT_TRUE(limiter.take("somebody", start + 250ms));
}

TEST(rate_limiter, a_refused_request_costs_nothing) {
  auto limiter = limiter_of(1, 1);
  EXPECT_FALSE(limiter.take("somebody", start));
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(limiter.take("somebody", start + 500ms));
  EXPECT_FALSE(limiter.take("somebody", start + 1s));
}

TEST(rate_limiter, a_long_rest_fills_no_more_than_the_burst) {
  auto limiter = limiter_of(10, 2);
  EXPECT_FALSE(limiter.take("somebody", start));
  EXPECT_FALSE(limiter.take("somebody", start + 1h));
  EXPECT_FALSE(limiter.take("somebody", start + 1h));
  EXPECT_TRUE(limiter.take("somebody", start + 1h));
}

TEST(rate_limiter, clients_do_not_share_a_bucket) {
  auto limiter = limiter_of(1, 1);
  EXPECT_FALSE(limiter.take("somebody", start));
  EXPECT_TRUE(limiter.take("somebody", start));
  EXPECT_FALSE(limiter.take("somebody else", start));
}

TEST(rate_limiter, the_client_that_was_silent_for_longest_is_forgotten_first) {
  auto limiter = limiter_of(1, 1, 2);
  EXPECT_FALSE(limiter.take("first", start));
  EXPECT_FALSE(limiter.take("second", start));
  EXPECT_TRUE(limiter.take("first", start));
  EXPECT_FALSE(limiter.take("third", start));
  EXPECT_EQ(limiter.clients(), 2u);
  EXPECT_TRUE(limiter.take("first", start))
      << "was forgotten before one that was silent for longer";
  EXPECT_FALSE(limiter.take("second", start)) << "was remembered";
}

TEST(rate_limiter, a_smaller_limit_holds_for_those_who_are_known) {
  auto limiter = limiter_of(100, 100);
  EXPECT_FALSE(limiter.take("somebody", start));
  limiter.set_limit({.requests_per_second = 1, .burst = 1});
  EXPECT_FALSE(limiter.take("somebody", start));
  EXPECT_TRUE(limiter.take("somebody", start));
}

} // namespace
} // namespace engram
