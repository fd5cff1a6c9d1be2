#include "engram/actors/stage.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace engram {

namespace {

struct guardian_state {
  guardian_state() = default;

  void open(guardian_actor::pointer actor, pipeline_core* lent);
  void watch(const watch_actor& what);
  void on_down(const caf::down_msg& down);
  void on_supervisor_death();
  void finish_if_all_down();

  struct watched {
    caf::actor_addr address;
    bool is_worker = false;
  };
  guardian_actor::pointer self = nullptr;
  pipeline_core* core = nullptr;
  guardian_actor keeps_itself_alive; ///< once the supervisor is gone, nobody else does
  caf::actor_addr supervisor;
  std::vector<watched> alive; ///< the supervisor's children
  bool answered_rest = false;
};

void guardian_state::open(guardian_actor::pointer actor, pipeline_core* lent) {
  self = actor;
  core = lent;
  keeps_itself_alive = handle_of<guardian_actor>(actor);
}

void guardian_state::watch(const watch_actor& what) {
  const auto strong = caf::actor_cast<caf::strong_actor_ptr>(what.who);
  if (!strong) return; // gone already
  if (what.is == watch_actor::role::supervisor)
    supervisor = what.who;
  else
    alive.push_back({what.who, what.is == watch_actor::role::worker});
  self->monitor(strong);
}

void guardian_state::on_down(const caf::down_msg& down) {
  std::erase_if(alive, [&](const watched& each) { return each.address == down.source; });
  if (down.source == supervisor) {
    const bool as_planned = !down.reason || down.reason == caf::exit_reason::normal;
    if (!as_planned) on_supervisor_death();
    supervisor = nullptr;
  }
  if (supervisor) return;
  finish_if_all_down();
}

/// Nobody restarts anybody any more, so the pipeline ends while all its actors can still be ended
/// in good order.
void guardian_state::on_supervisor_death() {
  core->supervised = false;
  core->state = pipeline_state::unavailable;
  core->gate.close();
  core->events.add(core->clock.now(), "unavailable", "supervisor", "died");
  for (const auto& each : alive)
    caf::anon_send_exit(each.address, caf::exit_reason::user_shutdown);
}

void guardian_state::finish_if_all_down() {
  // Workers may be busy for long; only the other actors touch what is answered here.
  if (std::ranges::any_of(alive, [](const watched& each) { return !each.is_worker; })) return;
  if (!core->supervised && !std::exchange(answered_rest, true))
    core->fail_everything(ec::unavailable, std::string{core->why_unavailable()});
  if (!alive.empty()) return;
  keeps_itself_alive = nullptr;
  self->quit();
}

guardian_actor::behavior_type guardian(guardian_actor::stateful_pointer<guardian_state> self,
                                       pipeline_core* core) {
  self->set_down_handler(
      [self](caf::scheduled_actor*, caf::down_msg& down) { self->state.on_down(down); });
  self->state.open(self, core);
  return {
      [self](const watch_actor& what) { self->state.watch(what); },
  };
}

} // namespace

guardian_actor spawn_guardian(caf::actor_system& system, pipeline_core& core) {
  return system.spawn(guardian, &core);
}

} // namespace engram
