#include "engram/actors/policy/outcome_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <initializer_list>
#include <random>

namespace {

using engram::outcome_window;

void add_all(outcome_window& window, std::initializer_list<bool> outcomes) {
  for (const bool outcome : outcomes)
    window.add(outcome);
}

TEST(outcome_window, an_empty_window_has_a_clean_record) {
  const outcome_window window{10};
  EXPECT_EQ(window.size(), 0u);
  EXPECT_EQ(window.capacity(), 10u);
  EXPECT_EQ(window.success_rate(), 1.0);
}

TEST(outcome_window, the_rate_is_the_share_of_good_outcomes_so_far) {
  outcome_window window{10};
  add_all(window, {true, false, true, true});
  EXPECT_EQ(window.size(), 4u);
  EXPECT_EQ(window.success_rate(), 0.75);
}

TEST(outcome_window, a_full_window_forgets_its_oldest_outcome) {
  outcome_window window{3};
  add_all(window, {false, true, true});
  EXPECT_DOUBLE_EQ(window.success_rate(), 2.0 / 3.0);
  window.add(true);
  EXPECT_EQ(window.size(), 3u);
  EXPECT_EQ(window.success_rate(), 1.0);
}

TEST(outcome_window, a_cleared_window_starts_again) {
  outcome_window window{3};
  add_all(window, {false, false, false, false});
  window.clear();
  EXPECT_EQ(window.size(), 0u);
  EXPECT_EQ(window.success_rate(), 1.0);
  window.add(true);
  EXPECT_EQ(window.success_rate(), 1.0);
}

TEST(outcome_window, shrinking_keeps_the_newest_outcomes) {
  outcome_window window{6};
  add_all(window, {false, false, false, false, true, true, false, true}); // the first two are gone
  window.resize(4);
  EXPECT_EQ(window.capacity(), 4u);
  EXPECT_EQ(window.size(), 4u);
  EXPECT_EQ(window.success_rate(), 0.75); // true, true, false, true
}

TEST(outcome_window, growing_keeps_every_outcome_and_their_order) {
  outcome_window window{3};
  add_all(window, {true, false, true, true}); // wrapped: holds false, true, true
  window.resize(4);
  EXPECT_EQ(window.size(), 3u);
  EXPECT_DOUBLE_EQ(window.success_rate(), 2.0 / 3.0);
  add_all(window, {true, true}); // the oldest, the false one, leaves first
  EXPECT_EQ(window.success_rate(), 1.0);
}

TEST(outcome_window, a_capacity_of_zero_counts_as_one) {
  outcome_window window{0};
  EXPECT_EQ(window.capacity(), 1u);
  add_all(window, {true, false});
  EXPECT_EQ(window.size(), 1u);
  EXPECT_EQ(window.success_rate(), 0.0);
  window.resize(0);
  EXPECT_EQ(window.success_rate(), 0.0);
}

TEST(outcome_window, agrees_with_a_queue_through_random_adds_resizes_and_clears) {
  std::mt19937_64 random{11};
  const auto below = [&](std::size_t n) { return random() % n; };
  outcome_window window{5};
  std::deque<bool> queue;
  std::size_t capacity = 5;
  for (int step = 0; step < 50'000; ++step) {
    const auto dice = below(100);
    if (dice == 0) {
      window.clear();
      queue.clear();
    } else if (dice < 5) {
      capacity = 1 + below(12);
      window.resize(capacity);
    } else {
      const bool good = below(3) != 0;
      window.add(good);
      queue.push_back(good);
    }
    while (queue.size() > capacity)
      queue.pop_front();
    const auto good = std::ranges::count(queue, true);
    const auto rate =
        queue.empty() ? 1.0 : static_cast<double>(good) / static_cast<double>(queue.size());
    ASSERT_EQ(window.size(), queue.size()) << "step " << step;
    ASSERT_EQ(window.success_rate(), rate) << "step " << step;
  }
}

} // namespace
