#include "engram/base/restart_policy.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace {

using namespace std::chrono_literals;
using engram::duration;
using engram::restart_limits;
using engram::restart_policy;
using engram::time_point;

constexpr time_point start{1000s};

restart_limits limits() {
  return {.intensity = 10, .period = 10s, .backoff = 1ms, .max_backoff = 1s};
}

TEST(restart_policy, the_first_death_is_answered_at_once) {
  restart_policy policy{limits()};
  EXPECT_EQ(policy.on_death(start), duration::zero());
}

TEST(restart_policy, deaths_in_a_row_wait_twice_as_long_each_time) {
  restart_policy policy{limits()};
  policy.on_death(start);
  EXPECT_EQ(policy.on_death(start + 1s), 1ms);
  EXPECT_EQ(policy.on_death(start + 2s), 2ms);
  EXPECT_EQ(policy.on_death(start + 3s), 4ms);
  EXPECT_EQ(policy.on_death(start + 4s), 8ms);
}

TEST(restart_policy, no_wait_is_longer_than_the_longest) {
  auto short_wait = limits();
  short_wait.max_backoff = 5ms;
  restart_policy policy{short_wait};
  for (int i = 0; i < 4; ++i)
    policy.on_death(start);
  EXPECT_EQ(policy.on_death(start), 5ms);
  EXPECT_EQ(policy.on_death(start), 5ms);

  short_wait.backoff = 1s; // longer than the longest from the first wait on
  restart_policy capped{short_wait};
  capped.on_death(start);
  EXPECT_EQ(capped.on_death(start), 5ms);
}

TEST(restart_policy, the_wait_never_overflows_however_often_it_doubles) {
  auto patient = limits();
  patient.intensity = 1000;
  restart_policy policy{patient};
  for (int i = 0; i < 1000; ++i) {
    const auto wait = policy.on_death(start);
    ASSERT_TRUE(wait.has_value()) << i;
    ASSERT_GE(*wait, duration::zero()) << i;
    ASSERT_LE(*wait, 1s) << i;
  }
}

TEST(restart_policy, gives_up_on_one_death_more_than_the_intensity_within_the_period) {
  restart_policy policy{limits()};
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(policy.on_death(start + i * 1s).has_value()) << "death " << i + 1;
  EXPECT_EQ(policy.on_death(start + 10s), std::nullopt); // exactly one period after the first
}

TEST(restart_policy, an_intensity_of_zero_never_restarts) {
  auto none = limits();
  none.intensity = 0;
  restart_policy policy{none};
  EXPECT_EQ(policy.on_death(start), std::nullopt);
}

TEST(restart_policy, deaths_older_than_the_period_are_forgotten) {
  restart_policy policy{limits()};
  for (int i = 0; i < 5; ++i)
    policy.on_death(start);
  EXPECT_EQ(policy.on_death(start + 10s + 1ns), duration::zero());
}

TEST(restart_policy, slow_deaths_are_restarted_for_ever) {
  auto strict = limits();
  strict.intensity = 3;
  restart_policy policy{strict};
  for (int i = 0; i < 1000; ++i) {
    const auto wait = policy.on_death(start + i * 4s); // at most three within any ten seconds
    ASSERT_TRUE(wait.has_value()) << i;
    ASSERT_LE(*wait, 2ms) << i;
  }
}

TEST(restart_policy, comes_back_once_the_deaths_that_made_it_give_up_are_old) {
  auto strict = limits();
  strict.intensity = 1;
  restart_policy policy{strict};
  policy.on_death(start);
  EXPECT_EQ(policy.on_death(start), std::nullopt);
  EXPECT_EQ(policy.on_death(start + 11s), duration::zero());
}

TEST(restart_policy, new_limits_apply_to_the_next_death) {
  restart_policy policy{limits()};
  policy.on_death(start);
  policy.on_death(start);
  auto strict = limits();
  strict.intensity = 2;
  policy.set_limits(strict);
  EXPECT_EQ(policy.on_death(start), std::nullopt);
  strict.intensity = 10;
  strict.period = 1s;
  policy.set_limits(strict);
  EXPECT_EQ(policy.on_death(start + 2s), duration::zero());
}

} // namespace
