#include "engram/actors/router_logic.hpp"
#include "engram/actors/stage.hpp"

#include <caf/actor_system.hpp>

namespace engram {

namespace {

struct router_state : stage_state<router_logic, router_actor> {
  router_state() = default;

  template <class Self, class Handler>
  void handle(Self* self, Handler handler) {
    act_out(*core->handlers.router, core->clock);
    handler(*logic);
    timer.arm(self, logic->next_due(), *core->timers.router);
  }
};

router_actor::behavior_type router(router_actor::stateful_pointer<router_state> self,
                                   pipeline_core* core) {
  die_of_exceptions(self);
  self->state.core = core;
  self->state.logic = std::make_unique<router_logic>(*core);
  self->state.timer.arm(self, self->state.logic->next_due(), *core->timers.router);
  core->orders.attach(ring_for<router_actor, orders_waiting>(self));
  core->run_reports.attach(ring_for<router_actor, reports_waiting>(self));
  core->workers_changed.attach(ring_for<router_actor, workers_changed>(self));
  core->probes_wanted.attach(ring_for<router_actor, probes_wanted>(self));
  return {
      [self](orders_waiting) { self->state.handle(self, [](auto& l) { l.on_orders(); }); },
      [self](reports_waiting) { self->state.handle(self, [](auto& l) { l.on_run_reports(); }); },
      [self](workers_changed) {
        self->state.handle(self, [](auto& l) { l.on_workers_changed(); });
      },
      [self](probes_wanted) { self->state.handle(self, [](auto& l) { l.on_probes_wanted(); }); },
      [self, core](timer_due due) {
        if (self->state.timer.is_due(self, due, core->clock.now()))
          self->state.handle(self, [](auto& l) { l.on_timer(); });
      },
  };
}

} // namespace

router_actor spawn_router(caf::actor_system& system, pipeline_core& core) {
  return system.spawn(router, &core);
}

} // namespace engram
