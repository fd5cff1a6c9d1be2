#include "engram/actors/policy/breaker.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace engram;
using state = breaker_state;

constexpr time_point start{1000s};

/// The defaults without jitter, so that times are exact.
breaker_limits steady() {
  breaker_limits limits;
  limits.jitter = 0.0;
  return limits;
}

void outcomes(breaker& b, int count, bool good, time_point now = start) {
  for (int i = 0; i < count; ++i)
    b.on_outcome(good, now, "launch");
}

void good_probes(breaker& b, int count, time_point now) {
  for (int i = 0; i < count; ++i)
    b.on_probe(true, now, "");
}

/// Fires the running timer at its time and returns that time.
time_point fire(breaker& b) {
  const auto due = b.timer().value();
  b.on_timer(due);
  return due;
}

/// Opens it and waits for half_open; returns when that was.
time_point half_open(breaker& b, time_point now = start) {
  b.on_fatal(now, "hung");
  return fire(b);
}

TEST(breaker, starts_closed_without_a_timer) {
  const breaker b{steady(), 1};
  EXPECT_EQ(b.state(), state::closed);
  EXPECT_EQ(b.timer(), std::nullopt);
  EXPECT_EQ(b.success_rate(), 1.0);
}

TEST(breaker, stays_closed_until_twenty_outcomes_are_in) {
  breaker b{steady(), 1};
  outcomes(b, 19, false);
  EXPECT_EQ(b.state(), state::closed);
  EXPECT_EQ(b.success_rate(), 0.0);
  outcomes(b, 1, false);
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker, a_window_smaller_than_twenty_is_enough_once_full) {
  auto limits = steady();
  limits.window = 10;
  breaker b{limits, 1};
  outcomes(b, 9, false);
  EXPECT_EQ(b.state(), state::closed);
  outcomes(b, 1, false);
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker, a_success_rate_of_exactly_the_threshold_keeps_it_closed) {
  breaker b{steady(), 1};
  outcomes(b, 95, true);
  outcomes(b, 5, false);
  EXPECT_EQ(b.state(), state::closed);
  outcomes(b, 1, false); // 94 of the last 100
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker, a_threshold_of_zero_opens_on_fatal_faults_only) {
  auto limits = steady();
  limits.success_rate_threshold = 0.0;
  breaker b{limits, 1};
  outcomes(b, 1000, false);
  EXPECT_EQ(b.state(), state::closed);
  b.on_fatal(start, "lost");
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker, only_the_outcomes_in_the_window_count) {
  auto limits = steady();
  limits.window = 40;
  limits.success_rate_threshold = 0.7;
  breaker b{limits, 1};
  for (int round = 0; round < 50; ++round) { // never more than 12 bad ones in 40
    outcomes(b, 28, true);
    outcomes(b, 12, false);
  }
  EXPECT_EQ(b.state(), state::closed);
  outcomes(b, 1, false);
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker, a_fatal_fault_opens_it_at_once) {
  breaker b{steady(), 1};
  b.on_fatal(start, "lost");
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), start + 1s);
  EXPECT_LT(b.success_rate(), 1.0);
}

TEST(breaker, waits_in_open_until_the_cool_down_is_over) {
  breaker b{steady(), 1};
  b.on_fatal(start, "lost");
  b.on_timer(start + 1s - 1ns);
  EXPECT_EQ(b.state(), state::open);
  b.on_timer(start + 1s);
  EXPECT_EQ(b.state(), state::half_open);
  EXPECT_EQ(b.timer(), start + 1s + 5s);
}

TEST(breaker, a_timer_that_comes_late_works_all_the_same) {
  breaker b{steady(), 1};
  b.on_fatal(start, "lost");
  b.on_timer(start + 1h);
  EXPECT_EQ(b.state(), state::half_open);
  EXPECT_EQ(b.timer(), start + 1h + 5s); // the probes get their full time
}

TEST(breaker, the_cool_down_doubles_with_every_failed_return_up_to_its_maximum) {
  breaker b{steady(), 1};
  auto now = start;
  b.on_fatal(now, "lost");
  for (const auto cool_down : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s, 60s}) {
    EXPECT_EQ(b.timer(), now + cool_down);
    now = fire(b);
    b.on_probe(false, now, "wrong");
  }
}

TEST(breaker, the_cool_down_starts_over_once_it_has_stayed_closed_for_as_long) {
  breaker b{steady(), 1};
  auto now = half_open(b);
  for (int i = 0; i < 4; ++i) {
    b.on_probe(false, now, "wrong");
    now = fire(b);
  }
  good_probes(b, 5, now);
  ASSERT_EQ(b.state(), state::closed);
  auto too_soon = b; // after 1, 2, 4, 8 and 16 seconds the next one would be 32
  too_soon.on_fatal(now + 32s - 1ns, "lost");
  EXPECT_EQ(too_soon.timer(), now + 32s - 1ns + 32s);
  b.on_fatal(now + 32s, "lost");
  EXPECT_EQ(b.timer(), now + 32s + 1s);
}

TEST(breaker, a_cool_down_above_the_maximum_is_the_maximum) {
  auto limits = steady();
  limits.cool_down = 10s;
  limits.max_cool_down = 3s;
  breaker b{limits, 1};
  auto now = half_open(b);
  EXPECT_EQ(now, start + 3s);
  good_probes(b, 5, now);
  b.on_fatal(now, "lost");
  EXPECT_EQ(b.timer(), now + 3s);
}

TEST(breaker, jitter_spreads_the_cool_down_within_its_bounds) {
  auto limits = steady();
  limits.jitter = 0.1;
  std::set<duration> seen;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    breaker b{limits, seed};
    b.on_fatal(start, "lost");
    const auto cool_down = b.timer().value() - start;
    EXPECT_GE(cool_down, 900ms);
    EXPECT_LE(cool_down, 1100ms);
    seen.insert(cool_down);
  }
  EXPECT_LT(*seen.begin(), 920ms);
  EXPECT_GT(*seen.rbegin(), 1080ms);
  EXPECT_GT(seen.size(), 900u);
}

TEST(breaker, jitter_does_not_add_up_while_the_cool_down_doubles) {
  auto limits = steady();
  limits.jitter = 0.1;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    breaker b{limits, seed};
    auto now = start;
    b.on_fatal(now, "lost");
    for (const duration cool_down : {1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s}) {
      EXPECT_GE(b.timer().value() - now, cool_down * 9 / 10);
      EXPECT_LE(b.timer().value() - now, cool_down * 11 / 10);
      now = fire(b);
      b.on_probe(false, now, "wrong");
    }
  }
}

TEST(breaker, five_good_probes_in_a_row_close_it_and_empty_the_window) {
  breaker b{steady(), 1};
  outcomes(b, 20, false);
  const auto now = fire(b);
  good_probes(b, 4, now);
  EXPECT_EQ(b.state(), state::half_open);
  good_probes(b, 1, now);
  EXPECT_EQ(b.state(), state::closed);
  EXPECT_EQ(b.timer(), std::nullopt);
  EXPECT_EQ(b.success_rate(), 1.0);
  outcomes(b, 19, false, now); // the old outcomes are gone: these alone are too few
  EXPECT_EQ(b.state(), state::closed);
}

TEST(breaker, one_bad_probe_opens_it_again_and_the_good_ones_before_do_not_count) {
  breaker b{steady(), 1};
  auto now = half_open(b);
  good_probes(b, 4, now);
  b.on_probe(false, now, "wrong");
  EXPECT_EQ(b.state(), state::open);
  now = fire(b);
  good_probes(b, 4, now);
  EXPECT_EQ(b.state(), state::half_open);
  good_probes(b, 1, now);
  EXPECT_EQ(b.state(), state::closed);
}

TEST(breaker, a_fatal_fault_in_half_open_opens_it_again) {
  breaker b{steady(), 1};
  const auto now = half_open(b);
  b.on_fatal(now, "hung");
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), now + 2s);
}

TEST(breaker, without_a_verdict_in_time_it_opens_again) {
  breaker b{steady(), 1};
  const auto now = half_open(b);
  good_probes(b, 4, now);
  b.on_timer(now + 5s - 1ns);
  EXPECT_EQ(b.state(), state::half_open);
  b.on_timer(now + 5s);
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), now + 5s + 2s);
}

TEST(breaker, half_open_listens_to_probes_only) {
  breaker b{steady(), 1};
  const auto now = half_open(b);
  outcomes(b, 200, false, now); // dispatched before it opened
  EXPECT_EQ(b.state(), state::half_open);
  outcomes(b, 200, true, now);
  EXPECT_EQ(b.state(), state::half_open);
}

TEST(breaker, an_open_breaker_ignores_late_outcomes_probes_and_further_faults) {
  breaker b{steady(), 1};
  b.on_fatal(start, "lost");
  const auto rate = b.success_rate();
  const auto due = b.timer();
  outcomes(b, 200, true, start + 10ms);
  good_probes(b, 200, start + 10ms);
  b.on_probe(false, start + 10ms, "wrong");
  b.on_fatal(start + 10ms, "lost");
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), due);
  EXPECT_EQ(b.success_rate(), rate);
}

TEST(breaker, a_closed_breaker_ignores_probes_and_timers) {
  breaker b{steady(), 1};
  b.on_probe(false, start, "late");
  b.on_timer(start + 1h);
  EXPECT_EQ(b.state(), state::closed);
  EXPECT_TRUE(b.take_transitions().empty());
}

TEST(breaker, tells_each_transition_once_with_its_time_and_cause) {
  breaker b{steady(), 1};
  outcomes(b, 20, false);
  auto now = fire(b);
  b.on_probe(false, now, "wrong answer");
  auto told = b.take_transitions();
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].from, state::closed);
  EXPECT_EQ(told[0].to, state::open);
  EXPECT_EQ(told[0].when, start);
  EXPECT_NE(told[0].cause.find("launch"), std::string::npos) << told[0].cause;
  EXPECT_EQ(told[1].from, state::open);
  EXPECT_EQ(told[1].to, state::half_open);
  EXPECT_EQ(told[1].when, start + 1s);
  EXPECT_EQ(told[2].to, state::open);
  EXPECT_NE(told[2].cause.find("wrong answer"), std::string::npos) << told[2].cause;
  EXPECT_TRUE(b.take_transitions().empty());

  now = fire(b);
  good_probes(b, 5, now);
  told = b.take_transitions();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1].to, state::closed);
}

TEST(breaker, a_new_threshold_applies_from_the_next_outcome) {
  breaker b{steady(), 1};
  outcomes(b, 96, true);
  outcomes(b, 4, false);
  auto limits = steady();
  limits.success_rate_threshold = 0.99;
  b.set_limits(limits);
  EXPECT_EQ(b.state(), state::closed);
  outcomes(b, 1, true);
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker, a_new_window_keeps_the_newest_outcomes) {
  auto limits = steady();
  limits.success_rate_threshold = 0.5;
  breaker b{limits, 1};
  outcomes(b, 3, false);
  outcomes(b, 72, true);
  EXPECT_EQ(b.success_rate(), 0.96);
  limits.window = 50;
  b.set_limits(limits);
  EXPECT_EQ(b.success_rate(), 1.0);
  EXPECT_EQ(b.state(), state::closed);
}

TEST(breaker, a_running_timer_keeps_its_time_under_new_limits) {
  breaker b{steady(), 1};
  b.on_fatal(start, "lost");
  auto limits = steady();
  limits.cool_down = 30s;
  limits.half_open_timeout = 7s;
  b.set_limits(limits);
  EXPECT_EQ(b.timer(), start + 1s);
  const auto now = fire(b);
  EXPECT_EQ(b.timer(), now + 7s);
  b.on_probe(false, now, "wrong");
  EXPECT_EQ(b.timer(), now + 30s);
}

TEST(breaker, a_shorter_cool_down_applies_to_the_next_opening_of_a_closed_breaker) {
  breaker b{steady(), 1};
  auto limits = steady();
  limits.cool_down = 100ms;
  b.set_limits(limits);
  b.on_fatal(start, "lost");
  EXPECT_EQ(b.timer(), start + 100ms);
}

TEST(breaker, a_lower_maximum_caps_a_cool_down_that_has_grown) {
  breaker b{steady(), 1};
  auto now = half_open(b);
  for (int i = 0; i < 5; ++i) {
    b.on_probe(false, now, "wrong");
    now = fire(b);
  }
  auto limits = steady();
  limits.max_cool_down = 3s;
  b.set_limits(limits);
  b.on_probe(false, now, "wrong");
  EXPECT_EQ(b.timer(), now + 3s);
}

TEST(breaker, a_new_number_of_probes_counts_those_already_passed) {
  breaker b{steady(), 1};
  const auto now = half_open(b);
  good_probes(b, 2, now);
  auto limits = steady();
  limits.probes_to_close = 3;
  b.set_limits(limits);
  EXPECT_EQ(b.state(), state::half_open);
  good_probes(b, 1, now);
  EXPECT_EQ(b.state(), state::closed);
}

TEST(breaker, every_state_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (auto s : {state::closed, state::open, state::half_open})
    names.insert(to_string(s));
  EXPECT_EQ(names, (std::set<std::string_view>{"closed", "open", "half_open"}));
}

// -- what an operator says --

using word = breaker_override;

TEST(breaker_override, held_open_it_has_no_timer_and_nothing_brings_it_back) {
  breaker b{steady(), 1};
  b.set_override(word::open, start);
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), std::nullopt);
  b.on_timer(start + 1h);
  b.on_restored(start + 1h, "restored");
  good_probes(b, 10, start + 1h);
  b.on_fatal(start + 1h, "lost");
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), std::nullopt);
}

TEST(breaker_override, let_go_it_proves_itself_before_it_is_used) {
  breaker b{steady(), 1};
  b.set_override(word::open, start);
  b.set_override(word::automatic, start + 1h);
  EXPECT_EQ(b.state(), state::half_open);
  EXPECT_EQ(b.proving_since(), start + 1h);
  EXPECT_EQ(b.timer(), start + 1h + 5s);
  good_probes(b, 5, start + 1h);
  EXPECT_EQ(b.state(), state::closed);
}

TEST(breaker_override, held_closed_no_success_rate_opens_it) {
  breaker b{steady(), 1};
  b.set_override(word::closed, start);
  outcomes(b, 100, false);
  EXPECT_EQ(b.state(), state::closed);
  EXPECT_EQ(b.success_rate(), 0.0) << "which is still told";
  b.set_override(word::automatic, start);
  EXPECT_EQ(b.state(), state::closed);
  outcomes(b, 1, false);
  EXPECT_EQ(b.state(), state::open) << "the window remembers";
}

TEST(breaker_override, held_closed_a_lost_device_opens_it_all_the_same) {
  breaker b{steady(), 1};
  b.set_override(word::closed, start);
  b.on_fatal(start, "lost");
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), start + 1s) << "it is tried again as ever";
  fire(b);
  b.on_probe(false, start + 1s, "no_device");
  EXPECT_EQ(b.state(), state::open);
}

TEST(breaker_override, wanted_closed_an_open_one_proves_itself_without_waiting) {
  breaker b{steady(), 1};
  b.on_fatal(start, "lost");
  b.set_override(word::closed, start + 1ms);
  EXPECT_EQ(b.state(), state::half_open) << "closed it is only once it has answered";
  b.on_probe(false, start + 2ms, "no_device");
  EXPECT_EQ(b.state(), state::open);
  b.set_override(word::closed, start + 3ms);
  EXPECT_EQ(b.state(), state::open) << "saying it again changes nothing";
}

TEST(breaker_override, automatic_leaves_an_open_breaker_its_cool_down) {
  breaker b{steady(), 1};
  b.set_override(word::closed, start);
  b.on_fatal(start, "lost");
  b.set_override(word::automatic, start + 1ms);
  EXPECT_EQ(b.state(), state::open);
  EXPECT_EQ(b.timer(), start + 1s);
}

TEST(breaker_override, an_operators_opening_does_not_double_the_cool_down) {
  breaker b{steady(), 1};
  b.set_override(word::open, start);
  b.set_override(word::automatic, start);
  good_probes(b, 5, start);
  b.on_fatal(start + 1h, "lost");
  EXPECT_EQ(b.timer(), start + 1h + 1s);
}

TEST(breaker_override, each_change_of_state_names_the_operator) {
  breaker b{steady(), 1};
  b.set_override(word::open, start);
  b.set_override(word::closed, start);
  const auto told = b.take_transitions();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].cause, "held open by an operator");
  EXPECT_EQ(told[1].cause, "an operator wants it closed");
}

TEST(breaker_override, every_name_means_itself) {
  for (const auto what : {word::automatic, word::closed, word::open})
    EXPECT_EQ(breaker_override_of(to_string(what)), what);
  EXPECT_EQ(breaker_override_of("shut"), std::nullopt);
}

} // namespace
