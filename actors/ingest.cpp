#include "engram/actors/ingest_logic.hpp"
#include "engram/actors/stage.hpp"

#include <caf/actor_system.hpp>

namespace engram {

namespace {

using ingest_state = stage_state<ingest_logic, ingest_actor>;

ingest_actor::behavior_type ingest(ingest_actor::stateful_pointer<ingest_state> self,
                                   pipeline_core* core) {
  die_of_exceptions(self);
  self->state.logic = std::make_unique<ingest_logic>(*core);
  core->inbox.attach(ring_for<ingest_actor, requests_waiting>(self));
  return {
      [self, core](requests_waiting) {
        act_out(*core->handlers.ingest, core->clock);
        self->state.logic->on_requests();
      },
  };
}

} // namespace

ingest_actor spawn_ingest(caf::actor_system& system, pipeline_core& core) {
  return system.spawn(ingest, &core);
}

} // namespace engram
