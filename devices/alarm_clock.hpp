#pragma once

#include "engram/base/clock.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

namespace engram {

/// Tells the time and calls back at a time. Tests turn the hands by themselves. Thread-safe.
class alarm_clock : public clock_source {
public:
  /// Calls `action` once at or soon after `when`, on a thread of the clock's choosing, never before
  /// this returns.
  virtual void call_at(time_point when, std::function<void()> action) = 0;
};

/// Keeps time by the machine's monotonic clock, with one thread of its own. The destructor drops
/// what is still waiting.
class thread_alarm_clock final : public alarm_clock {
public:
  thread_alarm_clock();
  ~thread_alarm_clock() override;

  time_point now() const noexcept override { return clock_type::now(); }
  void call_at(time_point when, std::function<void()> action) override;

private:
  struct alarm {
    time_point when;
    std::uint64_t number; ///< keeps equal times in order
    std::function<void()> action;
  };
  struct later {
    bool operator()(const alarm& a, const alarm& b) const noexcept {
      return a.when != b.when ? a.when > b.when : a.number > b.number;
    }
  };
  void serve(std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::priority_queue<alarm, std::vector<alarm>, later> alarms_;
  std::uint64_t next_number_ = 0;
  std::jthread thread_;
};

} // namespace engram
