#include "engram/actors/stage.hpp"
#include "engram/base/restart_policy.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace engram {

namespace {

/// One supervised actor: how to start it and how often it may die.
struct child {
  std::string name;
  std::function<caf::actor()> spawn;
  restart_policy policy;
  std::optional<std::size_t> worker; ///< index in core.workers
  caf::actor_addr address;
  bool up = false;
};

restart_limits restart_limits_of(const supervisor_options& options) {
  return {.intensity = options.restart_intensity,
          .period = from_milliseconds(options.restart_period_ms),
          .backoff = from_milliseconds(options.backoff_ms),
          .max_backoff = from_milliseconds(options.max_backoff_ms)};
}

struct supervisor_state {
  supervisor_state() = default;

  void open(supervisor_actor::pointer actor, pipeline_core* lent, spawn_options options,
            guardian_actor watcher);
  void start(child& which);
  void on_down(const caf::down_msg& down);
  void lose_worker(std::size_t index);
  void on_death(child& which);
  void give_up(const child& which);
  void on_restart_due(std::size_t index);
  void stop_children();
  void finish_if_all_down();

  supervisor_actor::pointer self = nullptr;
  pipeline_core* core = nullptr;
  guardian_actor guardian; ///< hears of everybody, to take over should this one die
  std::vector<child> children;
  bool stopping = false;
  bool gave_up = false;
  bool answered_rest = false; ///< everything that no stage can answer any more was failed
};

void supervisor_state::open(supervisor_actor::pointer actor, pipeline_core* lent,
                            spawn_options options, guardian_actor watcher) {
  self = actor;
  core = lent;
  guardian = std::move(watcher);
  self->send(guardian, watch_actor{self->address(), watch_actor::role::supervisor});
  auto& system = self->system();
  const restart_policy policy{restart_limits_of(core->options()->supervisor)};
  const auto add = [&](std::string name, auto spawn, std::optional<std::size_t> worker = {}) {
    children.push_back(
        {std::move(name),
         [&system, lent, spawn] { return caf::actor_cast<caf::actor>(spawn(system, *lent)); },
         policy,
         worker,
         {},
         false});
  };
  // Those who are rung come before those who ring.
  add("telemetry", spawn_telemetry);
  for (std::size_t i = 0; i < core->workers.size(); ++i)
    add(
        core->workers[i]->device->info().name + "_worker",
        [i, detach = options.detach_workers](caf::actor_system& s, pipeline_core& c) {
          return spawn_worker(s, c, i, detach);
        },
        i);
  for (std::size_t i = 0; i < core->workers.size(); ++i)
    add(
        core->workers[i]->device->info().name + "_quick_worker",
        [i](caf::actor_system& s, pipeline_core& c) { return spawn_quick_worker(s, c, i); }, i);
  add("router", spawn_router);
  add("batcher", spawn_batcher);
  add("ingest", spawn_ingest);
  for (auto& each : children)
    start(each);
}

void supervisor_state::start(child& which) {
  caf::actor handle;
  try {
    handle = which.spawn();
  } catch (const std::exception&) { // no thread or memory for it: one more death
    return on_death(which);
  }
  which.address = handle.address();
  which.up = true;
  self->monitor(handle);
  using role = watch_actor::role;
  self->send(guardian, watch_actor{which.address, which.worker ? role::worker : role::stage});
  if (!which.worker) return;
  auto& slot = *core->workers[*which.worker];
  slot.incarnation += 1;
  // A worker has two lanes; nothing is given to it while one of them is down.
  slot.up = std::ranges::all_of(
      children, [&](const child& each) { return each.worker != which.worker || each.up; });
  core->workers_changed.ring();
}

void supervisor_state::on_down(const caf::down_msg& down) {
  const auto found = std::ranges::find(children, down.source, &child::address);
  if (found == children.end()) return;
  found->up = false;
  if (stopping) return finish_if_all_down();
  core->actor_restarts += 1;
  core->numbers.count_actor_restart(found->name);
  if (found->worker) lose_worker(*found->worker);
  on_death(*found);
}

void supervisor_state::lose_worker(std::size_t index) {
  auto& slot = *core->workers[index];
  slot.up = false;
  slot.restarts += 1;
  // Their runs are lost with the incarnation; the router sends them elsewhere.
  std::vector<job> orphans;
  slot.jobs.take(orphans);
  slot.quick_jobs.take(orphans);
  if (index > 0) core->numbers.count_worker_restart(index, "worker_exit");
  core->workers_changed.ring();
}

void supervisor_state::on_death(child& which) {
  const auto now = core->clock.now();
  const auto options = core->options();
  which.policy.set_limits(restart_limits_of(options->supervisor));
  auto wait = which.policy.on_death(now);
  const auto gpu = which.worker.value_or(0);
  if (!wait && gpu > 0) { // GPU trouble never ends the pipeline: the CPU serves, and we keep trying
    wait = from_milliseconds(options->supervisor.max_backoff_ms);
    device_report lost;
    lost.what = device_report::kind::fatal;
    lost.device = gpu;
    lost.good = false;
    lost.cause = "worker keeps dying";
    lost.dispatched = now;
    core->device_reports.push(std::move(lost));
  }
  core->events.add(now, "restart", which.name,
                   wait ? "died, starts again" : "died too often, giving up");
  if (!wait) return give_up(which);
  const auto index = static_cast<std::size_t>(&which - children.data());
  if (*wait == duration::zero())
    start(which);
  else
    self->scheduled_send(handle_of<supervisor_actor>(self), now + *wait, restart_due{index});
}

void supervisor_state::give_up(const child& which) {
  gave_up = true;
  core->state = pipeline_state::unavailable;
  core->gate.close();
  core->events.add(core->clock.now(), "unavailable", which.name, "restart limit reached");
  stop_children();
}

void supervisor_state::on_restart_due(std::size_t index) {
  if (!stopping && !children[index].up) start(children[index]);
}

void supervisor_state::stop_children() {
  stopping = true;
  for (auto& each : children)
    if (each.up) caf::anon_send_exit(each.address, caf::exit_reason::user_shutdown);
  finish_if_all_down();
}

void supervisor_state::finish_if_all_down() {
  const auto is_up = [](const child& each) { return each.up; };
  if (std::ranges::any_of(children, [](const child& each) { return each.up && !each.worker; }))
    return;
  // Nobody keeps deadlines any more, and a worker may be busy for long: answer now.
  if (!std::exchange(answered_rest, true)) {
    if (gave_up)
      core->fail_everything(ec::unavailable, std::string{core->why_unavailable()});
    else
      core->fail_everything(ec::shutting_down,
                            "The pipeline stopped before the request was answered.");
  }
  if (std::ranges::none_of(children, is_up)) self->quit();
}

supervisor_actor::behavior_type
supervisor(supervisor_actor::stateful_pointer<supervisor_state> self, pipeline_core* core,
           spawn_options options, const guardian_actor& guardian) {
  die_of_exceptions(self);
  self->set_down_handler([self, core](caf::scheduled_actor*, caf::down_msg& down) {
    act_out(*core->handlers.supervisor, core->clock);
    self->state.on_down(down);
  });
  self->state.open(self, core, options, guardian);
  core->pulse_wanted.attach(ring_for<supervisor_actor, pulse_wanted>(self));
  return {
      [self](stop_pipeline) { self->state.stop_children(); },
      [core](pulse_wanted) { core->pulses += 1; },
      [self, core](restart_due due) {
        act_out(*core->handlers.supervisor, core->clock);
        self->state.on_restart_due(due.child);
      },
  };
}

} // namespace

supervisor_actor spawn_pipeline(caf::actor_system& system, pipeline_core& core,
                                spawn_options options) {
  return system.spawn(supervisor, &core, options, spawn_guardian(system, core));
}

void detach_doorbells(pipeline_core& core) {
  core.inbox.detach();
  core.entries.detach();
  core.orders.detach();
  core.run_reports.detach();
  core.device_reports.detach();
  core.probes_wanted.detach();
  core.capacity_freed.detach();
  core.workers_changed.detach();
  core.pulse_wanted.detach();
  for (auto& slot : core.workers) {
    slot->jobs.detach();
    slot->quick_jobs.detach();
  }
}

} // namespace engram
