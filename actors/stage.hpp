#pragma once

/// What the shells of all stages share: how a doorbell reaches an actor, its one timer, and how it
/// dies on purpose.

#include "engram/actors/actors.hpp"

#include <caf/actor_cast.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>

namespace engram {

template <class Handle, class Self>
Handle handle_of(Self* self) {
  return caf::actor_cast<Handle>(caf::strong_actor_ptr{self->ctrl()});
}

/// Returns what a handoff or doorbell calls to send `Message` to `self`.
template <class Handle, class Message, class Self>
std::function<void()> ring_for(Self* self) {
  return [handle = handle_of<Handle>(self)] { caf::anon_send(handle, Message{}); };
}

/// One armed timer. CAF cannot cancel, so a stale one is told by its epoch.
template <class Handle>
class stage_timer {
public:
  /// Sees to it that `timer_due` comes at `when` or before.
  template <class Self>
  void arm(Self* self, std::optional<time_point> when) {
    if (!when || (armed_ && *armed_ <= *when)) return;
    armed_ = when;
    self->scheduled_send(handle_of<Handle>(self), *when, timer_due{++epoch_});
  }
  /// Returns true if this is the timer armed last.
  bool is_current(const timer_due& due) noexcept {
    if (due.epoch != epoch_) return false;
    armed_.reset();
    return true;
  }

private:
  std::optional<time_point> armed_;
  std::uint64_t epoch_ = 0;
};

/// Makes an exception in a handler end the actor quietly; the supervisor hears of it.
template <class Self>
void die_of_exceptions(Self* self) {
  self->set_exception_handler(
      [](std::exception_ptr&) -> caf::error { return caf::make_error(caf::sec::runtime_error); });
}

/// Dies if somebody armed `site` with `exit`.
inline void maybe_die(fault_point& site) {
  if (site.fire().what == fault_action::kind::exit) throw std::runtime_error("fault point: exit");
}

/// A stage's logic and its timer. Built by CAF before the logic can be, hence the pointer.
template <class Logic, class Handle>
struct stage_state {
  stage_state() =
      default; // not an aggregate: CAF 0.17 would initialise its first member from `self`
  pipeline_core* core = nullptr;
  std::unique_ptr<Logic> logic;
  stage_timer<Handle> timer;
};

ingest_actor spawn_ingest(caf::actor_system& system, pipeline_core& core);
batcher_actor spawn_batcher(caf::actor_system& system, pipeline_core& core);
router_actor spawn_router(caf::actor_system& system, pipeline_core& core);
telemetry_actor spawn_telemetry(caf::actor_system& system, pipeline_core& core);
/// The worker of core.workers[index]: CPU_WORKER for 0, GPU_WORKER for the others.
worker_actor spawn_worker(caf::actor_system& system, pipeline_core& core, std::size_t index,
                          bool detached);
/// A worker's second lane, on the control actors' own thread: batches so small that waking another
/// thread would take longer than `run` does.
worker_actor spawn_quick_worker(caf::actor_system& system, pipeline_core& core, std::size_t index);

} // namespace engram
