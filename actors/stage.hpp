#pragma once

/// What the shells of all stages share: how a doorbell reaches an actor, its one timer, and how
/// trouble is made in it on purpose.

#include "engram/actors/actors.hpp"

#include <caf/actor_cast.hpp>
#include <caf/error.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/sec.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>
#include <cstdint>
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

/// One armed timer, and a guard that makes up for it should it get lost. CAF cannot cancel, so a
/// stale one of either is told by its epoch.
///
/// The guard comes `patience` after the time that is armed. It is sent once for as long as it finds
/// nothing wrong and follows what was armed meanwhile, so it costs a message each `patience` at
/// most, however many timers there are.
template <class Handle>
class stage_timer {
public:
  /// So late a timer counts as lost. Loaded machines are late by up to 5 ms.
  static constexpr duration patience = std::chrono::milliseconds{5};

  /// Sees to it that `timer_due` comes at `when` or before; `faults` may lose or delay it.
  template <class Self>
  void arm(Self* self, std::optional<time_point> when, fault_point& faults) {
    if (!when || (armed_ && *armed_ <= *when)) return;
    armed_ = when;
    ++epoch_;
    const auto fault = faults.fire();
    if (fault.what != fault_action::kind::fail)
      self->scheduled_send(handle_of<Handle>(self), *when + fault.wait, timer_due{epoch_});
    guard(self);
  }
  /// Returns true if what was armed last is due.
  template <class Self>
  bool is_due(Self* self, const timer_due& due, time_point now) {
    return due.is_guard ? is_lost(self, due, now) : is_current(due);
  }

private:
  bool is_current(const timer_due& due) noexcept {
    if (due.epoch != epoch_) return false;
    armed_.reset();
    return true;
  }
  template <class Self>
  bool is_lost(Self* self, const timer_due& due, time_point now) {
    if (due.epoch != guard_epoch_) return false;
    guard_at_.reset();
    if (!armed_) return false;
    if (now < *armed_ + patience) {
      guard(self);
      return false;
    }
    ++epoch_; // should it come after all
    armed_.reset();
    return true;
  }
  template <class Self>
  void guard(Self* self) {
    const auto at = *armed_ + patience;
    if (guard_at_ && *guard_at_ <= at) return;
    guard_at_ = at;
    self->scheduled_send(handle_of<Handle>(self), at, timer_due{++guard_epoch_, true});
  }

  std::optional<time_point> armed_;
  std::uint64_t epoch_ = 0;
  std::optional<time_point> guard_at_; ///< not after `armed_` + patience, while something is armed
  std::uint64_t guard_epoch_ = 0;
};

/// Makes an exception in a handler end the actor quietly; the supervisor hears of it.
template <class Self>
void die_of_exceptions(Self* self) {
  self->set_exception_handler(
      [](std::exception_ptr&) -> caf::error { return caf::make_error(caf::sec::runtime_error); });
}

/// Makes the trouble that `site` is armed with: an actor dies of `exit`, and its thread is held up
/// by `delay`.
inline void act_out(fault_point& site, const clock_source& clock) {
  const auto action = site.fire();
  if (action.what == fault_action::kind::exit) throw std::runtime_error("fault point: exit");
  if (action.what == fault_action::kind::delay) clock.sleep_for(action.wait);
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

guardian_actor spawn_guardian(caf::actor_system& system, pipeline_core& core);
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
