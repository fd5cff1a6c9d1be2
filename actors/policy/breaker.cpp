#include "engram/actors/policy/breaker.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

/// Fewer outcomes than this say little about a rate.
constexpr std::size_t least_outcomes = 20;

} // namespace

breaker::breaker(breaker_limits limits, std::uint64_t seed)
    : limits_(limits), window_(limits.window), random_(seed),
      next_cool_down_(std::min(limits.cool_down, limits.max_cool_down)) {}

void breaker::on_outcome(bool success, time_point now, const std::string& cause) {
  if (state_ != breaker_state::closed) return;
  window_.add(success);
  if (override_ == breaker_override::closed) return;
  const auto enough = std::min(least_outcomes, limits_.window);
  if (window_.size() >= enough && window_.success_rate() < limits_.success_rate_threshold)
    open(now, "success rate below threshold" + (cause.empty() ? "" : ", last: " + cause));
}

void breaker::on_fatal(time_point now, const std::string& cause) {
  if (state_ == breaker_state::closed) window_.add(false);
  if (state_ != breaker_state::open) open(now, cause);
}

void breaker::on_probe(bool good, time_point now, const std::string& cause) {
  if (state_ != breaker_state::half_open) return;
  if (!good) return open(now, "probe failed: " + cause);
  if (++good_probes_ < limits_.probes_to_close) return;
  move_to(breaker_state::closed, now, std::to_string(good_probes_) + " good probes");
  window_.clear();
  timer_.reset();
  closed_since_ = now;
}

void breaker::on_timer(time_point now) {
  if (!timer_ || now < *timer_) return;
  if (state_ == breaker_state::half_open) return open(now, "no verdict from probes in time");
  half_open(now, "cool-down over");
}

void breaker::on_restored(time_point now, const std::string& cause) {
  const bool is_held = override_ == breaker_override::open;
  if (state_ == breaker_state::open && !is_held) half_open(now, cause);
}

void breaker::set_override(breaker_override what, time_point now) {
  const auto before = std::exchange(override_, what);
  if (what == before) return;
  if (what == breaker_override::open) {
    if (state_ != breaker_state::open)
      move_to(breaker_state::open, now, "held open by an operator");
    timer_.reset();
  } else if (state_ == breaker_state::open && what == breaker_override::closed) {
    half_open(now, "an operator wants it closed");
  } else if (state_ == breaker_state::open && before == breaker_override::open) {
    half_open(now, "no longer held open");
  }
}

void breaker::set_limits(breaker_limits limits) {
  limits_ = limits;
  window_.resize(limits.window);
  next_cool_down_ = std::clamp(next_cool_down_, std::min(limits.cool_down, limits.max_cool_down),
                               limits.max_cool_down);
}

std::vector<breaker::transition> breaker::take_transitions() {
  return std::exchange(transitions_, {});
}

void breaker::open(time_point now, const std::string& cause) {
  // A device that fails again soon after it came back was not well: the doubling goes on.
  if (state_ == breaker_state::closed && now - closed_since_ >= next_cool_down_)
    next_cool_down_ = std::min(limits_.cool_down, limits_.max_cool_down);
  move_to(breaker_state::open, now, cause);
  // Jitter keeps several devices that failed together from coming back together.
  std::uniform_real_distribution<double> factor{1.0 - limits_.jitter, 1.0 + limits_.jitter};
  timer_ = now + from_seconds(to_seconds(next_cool_down_) * factor(random_));
  next_cool_down_ = std::min(next_cool_down_ * 2, limits_.max_cool_down);
}

void breaker::half_open(time_point now, const std::string& cause) {
  good_probes_ = 0;
  move_to(breaker_state::half_open, now, cause);
  proving_since_ = now;
  timer_ = now + limits_.half_open_timeout;
}

void breaker::move_to(breaker_state to, time_point now, const std::string& cause) {
  transitions_.push_back({state_, to, now, cause});
  state_ = to;
}

} // namespace engram
