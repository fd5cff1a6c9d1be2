#include "engram/replay/schedule.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using namespace engram;
using namespace engram::replay;
using namespace std::chrono_literals;

load_spec load_of(arrival_kind arrival, double rate) {
  load_spec load;
  load.op = operation::similarity;
  load.arrival = arrival;
  load.rate = rate;
  load.dim = 4;
  load.distinct = 10;
  return load;
}

scenario scenario_of(std::vector<load_spec> loads, duration length, std::uint64_t seed = 1) {
  scenario what;
  what.loads = std::move(loads);
  what.measured = length;
  what.seed = seed;
  return what;
}

std::vector<planned_send> all_of(const scenario& what) {
  schedule plan{what};
  std::vector<planned_send> all;
  while (auto next = plan.next())
    all.push_back(*next);
  return all;
}

bool equal(const std::vector<planned_send>& a, const std::vector<planned_send>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.at == y.at && x.load == y.load && x.variant == y.variant;
  });
}

TEST(schedule, is_the_same_for_the_same_seed) {
  const std::vector<load_spec> loads{load_of(arrival_kind::poisson, 500),
                                     load_of(arrival_kind::constant, 100)};
  const auto once = all_of(scenario_of(loads, 3s, 7));
  EXPECT_TRUE(equal(once, all_of(scenario_of(loads, 3s, 7))));
  EXPECT_FALSE(equal(once, all_of(scenario_of(loads, 3s, 8))));
}

TEST(schedule, keeps_the_arrivals_of_one_load_when_another_is_added) {
  const auto only = [](const std::vector<planned_send>& all) {
    std::vector<planned_send> first;
    for (const auto& each : all)
      if (each.load == 0) first.push_back(each);
    return first;
  };
  const auto poisson = load_of(arrival_kind::poisson, 300);
  const auto alone = all_of(scenario_of({poisson}, 2s));
  const auto together = all_of(scenario_of({poisson, load_of(arrival_kind::constant, 50)}, 2s));
  EXPECT_TRUE(equal(alone, only(together)));
}

TEST(schedule, goes_by_time_and_ends_with_the_measured_part) {
  auto what = scenario_of({load_of(arrival_kind::poisson, 400), load_of(arrival_kind::constant, 90),
                           load_of(arrival_kind::poisson, 10)},
                          2s);
  what.warm_up = 1s;
  const auto all = all_of(what);
  ASSERT_FALSE(all.empty());
  for (std::size_t i = 1; i < all.size(); ++i)
    EXPECT_LE(all[i - 1].at, all[i].at);
  EXPECT_LT(all.back().at, duration{3s});
  EXPECT_GT(all.back().at, duration{2900ms});
}

TEST(schedule, constant_arrivals_are_evenly_spaced) {
  const auto all = all_of(scenario_of({load_of(arrival_kind::constant, 1000)}, 1s));
  ASSERT_EQ(all.size(), 1000u);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].at, duration{i * 1'000'000});
}

TEST(schedule, bursts_come_whole_and_at_their_period) {
  auto load = load_of(arrival_kind::bursts, 100);
  load.burst_size = 20;
  load.burst_period = 200ms;
  const auto all = all_of(scenario_of({load}, 1s));
  ASSERT_EQ(all.size(), 100u);
  for (std::size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].at, duration{200ms} * static_cast<int>(i / 20));
}

TEST(schedule, poisson_arrivals_have_the_mean_and_the_spread_of_their_law) {
  constexpr double rate = 1000;
  constexpr int seconds = 100;
  const auto all = all_of(scenario_of({load_of(arrival_kind::poisson, rate)}, seconds * 1s));
  // The count is normal with standard deviation sqrt(n) = 316; five of them.
  EXPECT_NEAR(static_cast<double>(all.size()), rate * seconds, 5 * std::sqrt(rate * seconds));
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    const auto gap = to_seconds(all[i].at - all[i - 1].at);
    sum += gap;
    squares += gap * gap;
  }
  const auto n = static_cast<double>(all.size() - 1);
  const auto mean = sum / n;
  EXPECT_NEAR(mean * rate, 1.0, 0.02);
  // The standard deviation of an exponential law is its mean.
  EXPECT_NEAR(std::sqrt(squares / n - mean * mean) * rate, 1.0, 0.03);
  // Counts in windows of 100 ms have a variance equal to their mean; the index of dispersion is 1.
  std::vector<double> counts(seconds * 10);
  for (const auto& each : all)
    ++counts[static_cast<std::size_t>(to_seconds(each.at) * 10)];
  double count_sum = 0, count_squares = 0;
  for (const auto c : counts) {
    count_sum += c;
    count_squares += c * c;
  }
  const auto m = static_cast<double>(counts.size());
  const auto variance = count_squares / m - (count_sum / m) * (count_sum / m);
  EXPECT_NEAR(variance / (count_sum / m), 1.0, 5 * std::sqrt(2.0 / m));
}

TEST(schedule, picks_every_distinct_request_about_equally_often) {
  const auto all = all_of(scenario_of({load_of(arrival_kind::constant, 10'000)}, 1s));
  std::vector<int> picked(10);
  for (const auto& each : all)
    ++picked.at(each.variant);
  for (const auto count : picked)
    EXPECT_NEAR(count, 1000, 150);
}

} // namespace
