#pragma once

#include "engram/base/clock.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/dashboard/history.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace engram {

/// Reads a pipeline once a second, keeps the last 15 minutes, and tells any number of listeners.
/// Thread-safe.
class dashboard_feed {
public:
  /// `pipe` must outlive it.
  explicit dashboard_feed(const pipeline& pipe);
  ~dashboard_feed();
  dashboard_feed(const dashboard_feed&) = delete;
  dashboard_feed& operator=(const dashboard_feed&) = delete;

  /// Makes the dashboard show `state` in place of readiness, until it is called with an empty
  /// state; a feed begins with "loading".
  void hold_readiness(std::string state);

  /// How far a listener has heard.
  struct place {
    std::uint64_t reading = 0;
    std::uint64_t sample = 0;
    std::uint64_t event = 0;
  };
  /// Returns what `listener` has not heard as a server-sent event: `history` first, then `update`s;
  /// empty if it has heard all.
  std::string news(place& listener);
  /// Returns how long to wait before asking for news again.
  duration until_news() const;

private:
  void watch();

  const pipeline& pipe_;
  steady_clock_source clock_;
  mutable std::mutex mutex_;
  std::condition_variable stopping_;
  dashboard_history history_;
  std::string held_state_ = "loading";
  std::uint64_t readings_ = 0;
  time_point next_reading_;
  bool stopped_ = false;
  std::thread watcher_; ///< last: it uses all of the above
};

} // namespace engram
