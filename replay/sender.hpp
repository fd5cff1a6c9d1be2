#pragma once

#include "engram/replay/inbox.hpp"
#include "engram/replay/request_pool.hpp"
#include "engram/replay/schedule.hpp"
#include "engram/replay/send_log.hpp"
#include "engram/replay/target.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>

namespace engram::replay {

/// Sends the requests of a plan at their times and never waits for an answer. Every callback puts
/// an outcome into the inbox.
class sender {
public:
  /// All but `what` outlive the last callback.
  sender(const scenario& what, const request_pool& pool, replay_target& target, send_log& log,
         inbox& answers);

  /// Sends until the plan ends, `stop` is asked for, or the sending is so far behind that the run
  /// would not end. `start` is when the warm-up begins. Call it once, on a thread of its own.
  void run(time_point start, const std::stop_token& stop);

  bool done() const noexcept { return done_.load(std::memory_order_acquire); }
  /// Returns the requests that were planned before the run ended and not sent; after `done`.
  const std::vector<planned_send>& unsent() const noexcept { return unsent_; }

private:
  /// Waits until `due`; false if a stop was asked for.
  bool wait_until(time_point due, const std::stop_token& stop) const;
  bool send(const planned_send& planned);
  void on_answer(sent_request& request, answer&& got);
  std::int64_t now_ns() const;

  const scenario& what_;
  const request_pool& pool_;
  replay_target& target_;
  send_log& log_;
  inbox& answers_;
  schedule plan_;
  duration spin_;
  time_point start_;
  std::vector<planned_send> unsent_;
  std::atomic<bool> done_{false};
};

} // namespace engram::replay
