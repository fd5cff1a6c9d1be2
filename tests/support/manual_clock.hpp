#pragma once

#include "engram/devices/alarm_clock.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace engram::test {

/// A clock whose hands the test turns. Alarms ring in `advance`, on the thread that calls it, in
/// the order of their times and then of their making, and see the time that they were made for.
/// Thread-safe, but one thread at a time may advance.
class manual_alarm_clock final : public alarm_clock {
public:
  /// Starts at an arbitrary time that is not zero.
  manual_alarm_clock() : now_((clock_type::duration(std::chrono::hours(1))).count()) {}

  time_point now() const noexcept override {
    return time_point(clock_type::duration(now_.load(std::memory_order_relaxed)));
  }

  /// Turns the hands on: whoever sleeps does so while nothing but the alarms happens.
  void sleep_for(duration d) const override { advance_to(now() + d); }

  void call_at(time_point when, std::function<void()> action) override {
    std::lock_guard lock(mutex_);
    alarms_.emplace(when, std::move(action)); // equal keys keep the order of insertion
  }

  /// Turns the hands on by `d`; rings every alarm on the way, also those that alarms set.
  void advance(duration d) { advance_to(now() + d); }
  void advance_to(time_point target) const {
    while (auto action = take_due(target))
      action();
    set(std::max(target, now()));
  }
  /// Rings what is due now.
  void ring() { advance(duration::zero()); }
  /// The hands jump by `d`, as after a machine was suspended: what was due on the way rings with
  /// the next `ring`, late.
  void leap(duration d) { set(now() + d); }

  /// Returns the number of alarms that have not rung.
  std::size_t pending() const {
    std::lock_guard lock(mutex_);
    return alarms_.size();
  }

  /// Returns when the next alarm rings; nothing without one.
  std::optional<time_point> next() const {
    std::lock_guard lock(mutex_);
    if (alarms_.empty()) return std::nullopt;
    return alarms_.begin()->first;
  }

private:
  void set(time_point t) const noexcept {
    now_.store(t.time_since_epoch().count(), std::memory_order_relaxed);
  }

  std::function<void()> take_due(time_point target) const {
    std::lock_guard lock(mutex_);
    if (alarms_.empty() || alarms_.begin()->first > target) return nullptr;
    auto node = alarms_.extract(alarms_.begin());
    set(std::max(node.key(), now()));
    return std::move(node.mapped());
  }

  mutable std::mutex mutex_;
  mutable std::multimap<time_point, std::function<void()>> alarms_;
  mutable std::atomic<clock_type::rep> now_; // sleeping, as `now`, is anybody's
};

} // namespace engram::test
