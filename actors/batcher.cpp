#include "engram/actors/batcher_logic.hpp"
#include "engram/actors/stage.hpp"

#include <caf/actor_system.hpp>

namespace engram {

namespace {

struct batcher_state : stage_state<batcher_logic, batcher_actor> {
  batcher_state() = default;

  template <class Self, class Handler>
  void handle(Self* self, Handler handler) {
    act_out(*core->handlers.batcher, core->clock);
    handler(*logic);
    timer.arm(self, logic->next_due(), *core->timers.batcher);
  }
};

batcher_actor::behavior_type batcher(batcher_actor::stateful_pointer<batcher_state> self,
                                     pipeline_core* core) {
  die_of_exceptions(self);
  self->state.core = core;
  self->state.logic = std::make_unique<batcher_logic>(*core);
  core->entries.attach(ring_for<batcher_actor, entries_waiting>(self));
  core->capacity_freed.attach(ring_for<batcher_actor, capacity_freed>(self));
  self->send(handle_of<batcher_actor>(self), capacity_freed{}); // what a predecessor held
  return {
      [self](entries_waiting) { self->state.handle(self, [](auto& l) { l.on_entries(); }); },
      [self](capacity_freed) { self->state.handle(self, [](auto& l) { l.pump(); }); },
      [self, core](timer_due due) {
        if (self->state.timer.is_due(self, due, core->clock.now()))
          self->state.handle(self, [](auto& l) { l.pump(); });
      },
  };
}

} // namespace

batcher_actor spawn_batcher(caf::actor_system& system, pipeline_core& core) {
  return system.spawn(batcher, &core);
}

} // namespace engram
