#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/host/handles.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace engram {

/// What the thread of a device is to do, and when. Thread-safe.
class host_agenda {
public:
  /// The thread sleeps on `wake`, which outlives this.
  explicit host_agenda(const unique_fd& wake) : wake_(wake) {}

  /// Has the thread call `action` at `when` or soon after.
  void at(time_point when, std::function<void()> action);
  /// Makes the thread look around now.
  void wake_thread() noexcept { signal_event(wake_.get()); }

  /// Takes out what has its time, in order.
  std::vector<std::function<void()>> take_due(time_point now);
  /// Returns when the next action has its time; nothing if there is none.
  std::optional<time_point> next() const;
  /// Returns a number that changes with each new action.
  std::uint32_t calls() const noexcept { return calls_.load(); }

private:
  const unique_fd& wake_;
  mutable std::mutex mutex_;
  std::multimap<time_point, std::function<void()>> later_;
  std::atomic<std::uint32_t> calls_{0};
};

} // namespace engram
