#pragma once

#include "engram/actors/answer.hpp"
#include "engram/actors/metrics.hpp"
#include "engram/base/admission_gate.hpp"
#include "engram/base/clock.hpp"
#include "engram/devices/work.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

namespace engram {

/// What every answer passes on its way out: the gate, the metrics and the counters. Outlives all
/// requests.
struct answer_desk {
  const clock_source& clock;
  admission_gate& gate;
  metrics& numbers;
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint64_t> lost{0};         ///< requests destroyed unanswered: a bug
  std::atomic<std::uint64_t> late_answers{0}; ///< second answers, dropped
};

/// One accepted request until it is answered, and the one-shot slot of its answer. `fail` and
/// `answered` are thread-safe; `deliver` is the router's alone.
class pending_request {
public:
  /// The caller holds a place in the desk's gate; it is given back with the answer.
  pending_request(request_id id, payload_ptr payload, time_point accepted, time_point deadline,
                  int priority, answer_desk& desk, std::function<void(answer)> done);
  /// Completes an unanswered request with `internal` and counts it as lost.
  ~pending_request();
  pending_request(const pending_request&) = delete;
  pending_request& operator=(const pending_request&) = delete;

  request_id id() const noexcept { return id_; }
  const payload_ptr& payload() const noexcept { return payload_; }
  time_point accepted() const noexcept { return accepted_; }
  time_point deadline() const noexcept { return deadline_; }
  int priority() const noexcept { return priority_; }
  bool answered() const noexcept { return answered_.load(std::memory_order_acquire); }

  /// Answers with an error; returns false if it was answered before.
  bool fail(ec code, std::string message);
  /// The outputs of items [first, first + count). The request is answered once all its items are
  /// there.
  void deliver(std::size_t first, std::size_t count, item_output output, const answer_trace& trace);

private:
  bool complete(answer what);
  answer join_parts();

  struct part {
    item_output output;
    answer_trace trace;
  };

  request_id id_;
  payload_ptr payload_;
  time_point accepted_;
  time_point deadline_;
  int priority_;
  answer_desk& desk_;
  std::function<void(answer)> done_;
  std::atomic<bool> answered_{false};
  std::map<std::size_t, part> parts_; ///< of a split request, by first item
  std::size_t items_delivered_ = 0;
};

using request_ptr = std::shared_ptr<pending_request>;

} // namespace engram
