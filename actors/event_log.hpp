#pragma once

#include "engram/base/clock.hpp"

#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

namespace engram {

/// Something that changed: a breaker, an actor that was restarted, a dataset version, a fault
/// setting.
struct pipeline_event {
  std::uint64_t number = 0; ///< ascending from 1
  time_point when;
  std::string kind;    ///< "breaker", "restart", "device", "publish", "drop", "fault", "reload",
                       ///< "unavailable", "wrong_answer", "evidence", "override"
  std::string subject; ///< "gpu0", "batcher", "wordnet"
  std::string detail;  ///< "closed -> open: sticky", "lost (sticky): ...", one line
};

/// Keeps the last 1,000 events. Thread-safe.
class event_log {
public:
  void add(time_point when, std::string kind, std::string subject, std::string detail) {
    const std::lock_guard lock{mutex_};
    events_.push_back(
        {++last_number_, when, std::move(kind), std::move(subject), std::move(detail)});
    if (events_.size() > 1'000) events_.pop_front();
  }
  /// Returns the events with a number above `number`, oldest first.
  std::vector<pipeline_event> after(std::uint64_t number) const {
    const std::lock_guard lock{mutex_};
    std::vector<pipeline_event> found;
    for (const auto& event : events_)
      if (event.number > number) found.push_back(event);
    return found;
  }

private:
  mutable std::mutex mutex_;
  std::deque<pipeline_event> events_;
  std::uint64_t last_number_ = 0;
};

} // namespace engram
