#include "engram/actors/batcher_logic.hpp"

#include <utility>

namespace engram {

batcher_logic::batcher_logic(pipeline_core& core) : core_(core) {
  follow_options();
}

void batcher_logic::on_entries() {
  core_.entries.take(arrived_);
  for (auto& entry : arrived_)
    core_.windows.add(std::move(entry));
  arrived_.clear();
  pump();
}

void batcher_logic::pump() {
  follow_options();
  const auto now = core_.clock.now();
  for (const auto& request : core_.windows.take_expired(now))
    request->fail(
        ec::deadline_exceeded,
        "The deadline passed while the request waited for a device; allow more time or send less.");
  // Before looking at the room: if a batch is struck after the look, its striker sees this and
  // rings.
  core_.batcher_waits = true;
  for (auto taken = core_.outstanding_batches(); taken < core_.capacity(); ++taken) {
    const bool nothing_else_runs = taken == 0;
    const bool draining = core_.state != pipeline_state::ready;
    auto order = core_.windows.close(now, nothing_else_runs || draining);
    if (!order) break;
    core_.orders.push(std::move(*order));
  }
  if (core_.windows.waiting() == 0) core_.batcher_waits = false;
}

std::optional<time_point> batcher_logic::next_due() const {
  // Without room only deadlines matter; `capacity_freed` says when there is room again.
  if (core_.outstanding_batches() >= core_.capacity()) return core_.windows.next_deadline();
  return core_.windows.due();
}

void batcher_logic::follow_options() {
  auto now = core_.options();
  if (now == options_) return;
  options_ = std::move(now);
  core_.windows.set_limits(window_limits_of(*options_));
}

} // namespace engram
