#include "engram/actors/stage.hpp"
#include "engram/actors/telemetry_logic.hpp"

#include <caf/actor_system.hpp>

namespace engram {

namespace {

struct telemetry_state : stage_state<telemetry_logic, telemetry_actor> {
  telemetry_state() = default;

  template <class Self, class Handler>
  void handle(Self* self, Handler handler) {
    act_out(*core->handlers.telemetry, core->clock);
    handler(*logic);
    timer.arm(self, logic->next_due(), *core->timers.telemetry);
  }
};

telemetry_actor::behavior_type telemetry(telemetry_actor::stateful_pointer<telemetry_state> self,
                                         pipeline_core* core) {
  die_of_exceptions(self);
  self->state.core = core;
  self->state.logic = std::make_unique<telemetry_logic>(*core);
  self->state.timer.arm(self, self->state.logic->next_due(), *core->timers.telemetry);
  core->device_reports.attach(ring_for<telemetry_actor, outcomes_waiting>(self));
  return {
      [self](outcomes_waiting) { self->state.handle(self, [](auto& l) { l.on_reports(); }); },
      [self, core](timer_due due) {
        if (self->state.timer.is_due(self, due, core->clock.now()))
          self->state.handle(self, [](auto& l) { l.on_timer(); });
      },
  };
}

} // namespace

telemetry_actor spawn_telemetry(caf::actor_system& system, pipeline_core& core) {
  return system.spawn(telemetry, &core);
}

} // namespace engram
