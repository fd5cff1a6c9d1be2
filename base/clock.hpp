#pragma once

#include <chrono>
#include <thread>

namespace engram {

using clock_type = std::chrono::steady_clock;
using time_point = clock_type::time_point;
using duration = clock_type::duration;

/// Tells the time to everything that decides by it, so that tests can turn the hands.
/// Thread-safe.
class clock_source {
public:
  virtual ~clock_source() = default;
  virtual time_point now() const noexcept = 0;
  /// Holds the calling thread up for `d`. A clock that a test turns moves its hands instead.
  virtual void sleep_for(duration d) const { std::this_thread::sleep_for(d); }
};

/// The machine's monotonic clock.
class steady_clock_source final : public clock_source {
public:
  time_point now() const noexcept override { return clock_type::now(); }
};

/// Returns `d` in seconds, the unit of every metric and cost.
inline double to_seconds(duration d) noexcept {
  return std::chrono::duration<double>(d).count();
}

/// Returns `seconds` as a clock duration, rounded towards zero.
inline duration from_seconds(double seconds) noexcept {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds));
}

} // namespace engram
