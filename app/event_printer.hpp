#pragma once

#include "engram/pipeline/pipeline.hpp"

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace engram {

/// Logs what happens in a pipeline while this lives: one line an event, with the time at which it
/// happened. A thread of its own looks ten times a second, so that a slow reader of the log holds
/// no actor up. The pipeline outlives it.
class event_printer {
public:
  explicit event_printer(const pipeline& pipe);
  /// Logs what is left.
  ~event_printer();

  /// Logs what has happened until now; for whoever logs something that follows from it, or ends the
  /// process. Thread-safe.
  void catch_up();

private:
  void watch(const std::stop_token& end);

  const pipeline& pipe_;
  std::mutex mutex_; ///< of what follows
  std::condition_variable_any woken_;
  std::uint64_t last_number_ = 0;
  std::jthread watcher_; ///< last: it uses all of the above
};

} // namespace engram
