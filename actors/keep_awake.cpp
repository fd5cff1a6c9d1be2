// Keeps the scheduler's thread awake for a moment after there was work, because waking it costs a
// request more than most stages do: two actors pass a message to and fro, so that the thread finds
// something to run, and in between whatever has come meanwhile. One actor that sends to itself
// would never let the others run.

#include "engram/actors/stage.hpp"

#include <caf/actor_system.hpp>

namespace engram {

namespace {

awake_actor::behavior_type give_back(awake_actor::pointer self) {
  return {
      [self](stay_awake) {
        self->send(caf::actor_cast<awake_actor>(self->current_sender()), stay_awake{});
      },
  };
}

awake_actor::behavior_type keep_awake(awake_actor::pointer self, pipeline_core* core) {
  die_of_exceptions(self);
  const auto partner = self->spawn<caf::linked>(give_back);
  core->wake_up.attach(ring_for<awake_actor, stay_awake>(self));
  // A predecessor may have died awake, and then nobody would ring.
  self->send(handle_of<awake_actor>(self), stay_awake{});
  return {
      [self, core, partner](stay_awake) {
        if (core->waking.goes_on(core->clock.now())) self->send(partner, stay_awake{});
      },
  };
}

} // namespace

awake_actor spawn_keep_awake(caf::actor_system& system, pipeline_core& core) {
  return system.spawn(keep_awake, &core);
}

} // namespace engram
