#include "engram/actors/policy/batch_window.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace {

using namespace std::chrono_literals;
using engram::batch_window;
using engram::time_point;
using engram::window_limits;

constexpr time_point opened{1000s};
constexpr time_point never = time_point::max();

window_limits limits() {
  return {.max_wait = 10ms, .target_items = 128};
}

TEST(batch_window, an_empty_window_is_never_due) {
  const batch_window window{limits()};
  EXPECT_EQ(window.items(), 0u);
  EXPECT_FALSE(window.is_full());
  EXPECT_EQ(window.due(), std::nullopt);
  EXPECT_FALSE(window.is_due(never));
}

TEST(batch_window, closes_when_it_is_full) {
  batch_window window{limits()};
  window.add(127, opened, never);
  EXPECT_FALSE(window.is_full());
  EXPECT_FALSE(window.is_due(opened));
  window.add(1, opened, never);
  EXPECT_TRUE(window.is_full());
  EXPECT_TRUE(window.is_due(opened));
}

TEST(batch_window, an_oversized_request_fills_it_alone) {
  batch_window window{limits()};
  window.add(100'000, opened, never);
  EXPECT_EQ(window.items(), 100'000u);
  EXPECT_TRUE(window.is_due(opened));
}

TEST(batch_window, closes_when_its_oldest_request_has_waited_long_enough) {
  batch_window window{limits()};
  window.add(1, opened, never);
  window.add(1, opened + 9ms, never); // a younger one does not prolong the wait
  EXPECT_EQ(window.due(), opened + 10ms);
  EXPECT_FALSE(window.is_due(opened + 10ms - 1ns));
  EXPECT_TRUE(window.is_due(opened + 10ms));
}

TEST(batch_window, the_oldest_request_counts_even_if_it_joins_last) {
  batch_window window{limits()};
  window.add(1, opened + 5ms, never);
  window.add(1, opened, never);
  EXPECT_EQ(window.due(), opened + 10ms);
}

TEST(batch_window, closes_before_the_earliest_deadline_is_at_risk) {
  batch_window window{limits()};
  window.add(1, opened, opened + 8ms);
  window.add(1, opened + 1ms, opened + 3ms);
  window.add(1, opened + 2ms, opened + 9ms);
  EXPECT_EQ(window.due(), opened + 3ms);
  EXPECT_FALSE(window.is_due(opened + 3ms - 1ns));
  EXPECT_TRUE(window.is_due(opened + 3ms));
}

TEST(batch_window, a_deadline_already_at_risk_closes_it_at_once) {
  batch_window window{limits()};
  window.add(1, opened, opened - 1s);
  EXPECT_TRUE(window.is_due(opened));
}

TEST(batch_window, holds_nobody_if_the_longest_wait_is_zero) {
  auto eager = limits();
  eager.max_wait = 0ms;
  batch_window window{eager};
  window.add(1, opened, never);
  EXPECT_EQ(window.due(), opened);
  EXPECT_TRUE(window.is_due(opened));
}

TEST(batch_window, a_request_without_items_leaves_when_it_is_old_enough) {
  batch_window window{limits()};
  window.add(0, opened, never);
  EXPECT_EQ(window.due(), opened + 10ms);
  EXPECT_FALSE(window.is_due(opened + 10ms - 1ns));
  EXPECT_TRUE(window.is_due(opened + 10ms));
}

TEST(batch_window, a_cleared_window_remembers_no_age_and_no_deadline) {
  batch_window window{limits()};
  window.add(200, opened, opened + 1ms);
  window.clear();
  EXPECT_EQ(window.items(), 0u);
  EXPECT_EQ(window.due(), std::nullopt);
  EXPECT_FALSE(window.is_due(never));
  window.add(1, opened + 1s, never);
  EXPECT_EQ(window.due(), opened + 1s + 10ms);
  EXPECT_FALSE(window.is_full());
}

TEST(batch_window, may_close_early_but_never_late_when_some_have_left) {
  batch_window window{limits()};
  window.add(100, opened, opened + 4ms);
  window.add(28, opened + 5ms, never);
  window.remove(100);
  EXPECT_EQ(window.items(), 28u);
  EXPECT_FALSE(window.is_full());
  EXPECT_LE(window.due(), opened + 15ms);
}

TEST(batch_window, is_empty_when_all_have_left) {
  for (const std::size_t leaving : {10u, 11u}) { // also if told of more than there are
    batch_window window{limits()};
    window.add(10, opened, opened + 1ms);
    window.remove(leaving);
    EXPECT_EQ(window.items(), 0u);
    EXPECT_FALSE(window.due().has_value());
    EXPECT_FALSE(window.is_due(never));
  }
}

TEST(batch_window, new_limits_apply_to_who_already_waits) {
  batch_window window{limits()};
  window.add(10, opened, never);
  window.set_limits({.max_wait = 2ms, .target_items = 128});
  EXPECT_EQ(window.due(), opened + 2ms);
  EXPECT_FALSE(window.is_due(opened));
  window.set_limits({.max_wait = 2ms, .target_items = 10});
  EXPECT_TRUE(window.is_due(opened));
}

} // namespace
