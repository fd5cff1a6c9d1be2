// The breaker against a model of the same rules, written down a second time and without sharing its
// code.

#include "engram/actors/policy/breaker.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <deque>
#include <random>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace engram;
using state = breaker_state;

constexpr time_point model_start{1000s};

/// The rules of the breaker as plain as they can be put. Jitter is chance, so it only says between
/// which times the timer may fire; the test then tells it which it was.
struct model {
  breaker_limits limits;
  state now_in = state::closed;
  std::deque<bool> window{};
  duration cool_down = limits.cool_down; ///< of the next opening
  std::uint32_t good_in_a_row = 0;
  time_point closed_at{};
  time_point timer_from{}, timer_to{};
  breaker_override said = breaker_override::automatic;

  double rate() const {
    if (window.empty()) return 1.0;
    return static_cast<double>(std::ranges::count(window, true)) /
           static_cast<double>(window.size());
  }
  void remember(bool good) {
    window.push_back(good);
    if (window.size() > limits.window) window.pop_front();
  }
  void open(time_point now) {
    if (now_in == state::closed && now >= closed_at + cool_down) cool_down = limits.cool_down;
    now_in = state::open;
    const auto seconds = to_seconds(cool_down);
    timer_from = now + from_seconds(seconds * (1 - limits.jitter)) - 1ns;
    timer_to = now + from_seconds(seconds * (1 + limits.jitter)) + 1ns;
    cool_down = std::min(2 * cool_down, limits.max_cool_down);
  }
  void outcome(bool good, time_point now) {
    if (now_in != state::closed) return;
    remember(good);
    if (said == breaker_override::closed) return;
    if (window.size() < 20 && window.size() < limits.window) return;
    if (rate() < limits.success_rate_threshold) open(now);
  }
  void fatal(time_point now) {
    if (now_in == state::closed) remember(false);
    if (now_in != state::open) open(now);
  }
  void restored(time_point now) {
    if (now_in == state::open && said != breaker_override::open) timer_fired(now);
  }
  void override_with(breaker_override what, time_point now) {
    const bool was_held_open = said == breaker_override::open;
    const bool is_new = said != what;
    said = what;
    if (what == breaker_override::open)
      now_in = state::open;
    else if (is_new && now_in == state::open && (was_held_open || what == breaker_override::closed))
      timer_fired(now);
  }
  void probe(bool good, time_point now) {
    if (now_in != state::half_open) return;
    if (!good) {
      open(now);
    } else if (++good_in_a_row >= limits.probes_to_close) {
      now_in = state::closed;
      window.clear();
      closed_at = now;
    }
  }
  void timer_fired(time_point now) {
    if (now_in == state::half_open) {
      open(now);
    } else if (now_in == state::open) {
      now_in = state::half_open;
      good_in_a_row = 0;
      timer_from = timer_to = now + limits.half_open_timeout;
    }
  }
  void take(const breaker_limits& fresh) {
    limits = fresh;
    while (window.size() > limits.window)
      window.pop_front();
    cool_down = std::max(std::min(cool_down, limits.max_cool_down), limits.cool_down);
  }
};

/// A breaker and its model, told the same.
struct pair_of {
  breaker real;
  model ideal;

  pair_of(const breaker_limits& limits, std::uint64_t seed)
      : real(limits, seed), ideal{.limits = limits} {}

  void outcome(bool good, time_point now) {
    real.on_outcome(good, now, "outcome");
    ideal.outcome(good, now);
  }
  void fatal(time_point now) {
    real.on_fatal(now, "fatal");
    ideal.fatal(now);
  }
  void restored(time_point now) {
    real.on_restored(now, "restored");
    ideal.restored(now);
  }
  void probe(bool good, time_point now) {
    real.on_probe(good, now, "probe");
    ideal.probe(good, now);
  }
  void timer(time_point now) {
    const bool due = real.timer() && now >= *real.timer();
    real.on_timer(now);
    if (due) ideal.timer_fired(now);
  }
  void override_with(breaker_override what, time_point now) {
    real.set_override(what, now);
    ideal.override_with(what, now);
  }
  void limits(const breaker_limits& fresh) {
    real.set_limits(fresh);
    ideal.take(fresh);
  }

  /// Returns what is wrong; empty if they agree and no state is without a way out.
  std::string check() {
    if (real.state() != ideal.now_in)
      return "is " + std::string{to_string(real.state())} + ", should be " +
             std::string{to_string(ideal.now_in)};
    if (std::abs(real.success_rate() - ideal.rate()) > 1e-12) return "the success rate differs";
    const bool is_held_open = ideal.said == breaker_override::open;
    if (real.overridden() != ideal.said) return "the operator's word differs";
    if (is_held_open && real.state() != state::open) return "held open it is open";
    if (real.timer().has_value() == (real.state() == state::closed || is_held_open))
      return "open and half_open need a timer, and closed and held open none";
    if (real.timer() && (*real.timer() < ideal.timer_from || *real.timer() > ideal.timer_to))
      return "the timer is out of its bounds";
    return {};
  }

  /// Returns what is wrong if, let go by the operator, timers honoured and probes good from now on,
  /// it does not close in time.
  std::string check_way_back(time_point now) {
    override_with(breaker_override::automatic, now);
    if (auto wrong = check(); !wrong.empty()) return "let go: " + wrong;
    const auto latest = std::max(now, real.timer().value_or(now));
    for (int step = 0; real.state() != state::closed; ++step) {
      if (step > 1 + static_cast<int>(ideal.limits.probes_to_close)) return "does not close";
      if (real.state() == state::open) {
        now = std::max(now, *real.timer());
        timer(now);
      } else {
        probe(true, now);
      }
      if (auto wrong = check(); !wrong.empty()) return "on the way back: " + wrong;
    }
    return now <= latest ? "" : "closes later than its timer and five probes";
  }
};

/// Returns what is wrong with the transitions told: each must start where the one before ended.
std::string check_chain(breaker& real, state end) {
  auto at = state::closed;
  auto when = time_point::min();
  for (const auto& step : real.take_transitions()) {
    if (step.from != at || step.to == at) return "the transitions do not form a chain";
    if (step.from == state::closed && step.to == state::half_open) return "closed -> half_open";
    if (step.from == state::open && step.to == state::closed) return "open -> closed";
    if (step.when < when) return "the transitions go back in time";
    if (step.cause.empty()) return "a transition has no cause";
    at = step.to;
    when = step.when;
  }
  return at == end ? "" : "the last transition is missing";
}

constexpr int event_kinds = 8;
constexpr int event_kinds_with_overrides = 11;

void apply(pair_of& both, int event, time_point& now) {
  switch (event) {
  case 0:
    return both.outcome(true, now);
  case 1:
    return both.outcome(false, now);
  case 2:
    return both.fatal(now);
  case 3:
    return both.probe(true, now);
  case 4:
    return both.probe(false, now);
  case 5: // somebody is early
    now += 1ms;
    return both.timer(now);
  case 6: // the time has come
    now = std::max(now, both.real.timer().value_or(now));
    return both.timer(now);
  case 7:
    return both.restored(now);
  case 8:
    return both.override_with(breaker_override::automatic, now);
  case 9:
    return both.override_with(breaker_override::closed, now);
  case 10:
    return both.override_with(breaker_override::open, now);
  }
}

/// Returns what is wrong with any sequence of at most `depth` further events of the first `kinds`.
std::string explore(const pair_of& from, time_point now, int depth, const std::string& path,
                    int kinds) {
  for (int event = 0; event < kinds; ++event) {
    auto both = from;
    auto later = now;
    apply(both, event, later);
    const auto here = path + ' ' + std::to_string(event);
    auto wrong = both.check();
    if (wrong.empty()) {
      auto copy = both;
      wrong = copy.check_way_back(later);
    }
    if (!wrong.empty()) return "after events " + here + ": " + wrong;
    if (depth > 1)
      if (wrong = explore(both, later, depth - 1, here, kinds); !wrong.empty()) return wrong;
  }
  return {};
}

breaker_limits small_limits() {
  return {.success_rate_threshold = 0.6,
          .window = 3,
          .cool_down = 1s,
          .max_cool_down = 3s,
          .jitter = 0.0,
          .half_open_timeout = 5s,
          .probes_to_close = 2};
}

TEST(breaker_model, every_sequence_of_six_events_follows_the_rules_and_leads_back) {
  EXPECT_EQ(explore({small_limits(), 1}, model_start, 6, "", event_kinds), "");
}

TEST(breaker_model, so_does_every_sequence_of_five_where_an_operator_has_a_say) {
  EXPECT_EQ(explore({small_limits(), 1}, model_start, 5, "", event_kinds_with_overrides), "");
}

breaker_limits random_limits(std::mt19937_64& random) {
  const auto below = [&](std::uint64_t n) { return random() % n; };
  breaker_limits limits;
  limits.success_rate_threshold = std::array{0.0, 0.5, 0.8, 0.95, 1.0}[below(5)];
  limits.window = 1 + below(40);
  limits.cool_down = std::chrono::milliseconds{1 + below(2000)};
  limits.max_cool_down = limits.cool_down * static_cast<int>(1 + below(70));
  limits.jitter = std::array{0.0, 0.1, 0.5}[below(3)];
  limits.half_open_timeout = std::chrono::milliseconds{1 + below(8000)};
  limits.probes_to_close = static_cast<std::uint32_t>(1 + below(8));
  return limits;
}

/// Plays one random life of a device; returns what is wrong.
std::string live(std::uint64_t seed) {
  std::mt19937_64 random{seed};
  const auto below = [&](std::uint64_t n) { return random() % n; };
  pair_of both{random_limits(random), seed};
  auto now = model_start;
  const auto health = below(101); // percent of runs that succeed
  const auto steps = 1 + below(120);
  for (std::uint64_t step = 0; step < steps; ++step) {
    const auto dice = below(100);
    now += std::chrono::microseconds{below(50'000)};
    if (dice < 50) {
      both.outcome(below(100) < health, now);
    } else if (dice < 53) {
      both.fatal(now);
    } else if (dice < 75) {
      both.probe(below(100) < health, now);
    } else if (dice < 85) {
      both.timer(now); // most often too early
    } else if (dice < 98) {
      now = std::max(now, both.real.timer().value_or(now)) + std::chrono::milliseconds{below(5)};
      both.timer(now);
    } else if (below(2) == 0) {
      both.limits(random_limits(random));
    } else {
      both.override_with(static_cast<breaker_override>(below(3)), now);
    }
    if (auto wrong = both.check(); !wrong.empty())
      return "step " + std::to_string(step) + ": " + wrong;
  }
  if (auto wrong = both.check_way_back(now); !wrong.empty()) return "at the end: " + wrong;
  return check_chain(both.real, state::closed);
}

TEST(breaker_model, fifty_thousand_random_lives_follow_the_rules_and_lead_back) {
  for (std::uint64_t seed = 0; seed < 50'000; ++seed)
    ASSERT_EQ(live(seed), "") << "seed " << seed;
}

} // namespace
