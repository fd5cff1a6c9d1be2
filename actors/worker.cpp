#include "engram/actors/stage.hpp"

#include <caf/actor_system.hpp>

#include <utility>
#include <vector>

namespace engram {

namespace {

/// Gives the place of a run back that nobody needs any more.
void report_skipped(pipeline_core& core, run_id run) {
  run_report report;
  report.run = run;
  report.started = report.ended = core.clock.now();
  report.skipped = true;
  core.run_reports.push(std::move(report));
}

/// Gives the router what became of a run. Called on any thread, also after the worker died.
run_done report_to(pipeline_core& core, run_id run) {
  return [&core, run, started = core.clock.now()](run_outcome outcome) {
    core.run_reports.push({run, std::move(outcome), started, core.clock.now(), false});
  };
}

/// Uploads what was published while the device was out.
void catch_up(const pipeline_core& core, device& on) {
  for (const auto& data : core.datasets.list())
    if (!on.is_resident(data->key) && on.publish(data) && core.datasets.find(data->name) != data)
      on.retire(data->key); // replaced while it was uploaded
}

void run_jobs(pipeline_core& core, worker_slot& slot, handoff<job>& lane) {
  auto& faults = &lane == &slot.jobs ? *slot.faults : *slot.quick_faults;
  std::vector<job> jobs;
  lane.take(jobs);
  for (auto& each : jobs) {
    if (each.struck && each.struck->load(std::memory_order_relaxed)) {
      report_skipped(core, each.run);
      continue;
    }
    act_out(faults, core.clock);
    auto done = report_to(core, each.run);
    if (each.proves_itself) {
      if (!slot.device->reset()) {
        run_outcome lost;
        lost.fault = {fault_class::no_device, "The device cannot be brought back."};
        done(std::move(lost));
        continue;
      }
      catch_up(core, *slot.device);
    }
    slot.device->run(std::move(each.batch), std::move(done));
  }
}

worker_actor::behavior_type worker(worker_actor::pointer self, pipeline_core* core,
                                   std::size_t index, handoff<job>* lane) {
  die_of_exceptions(self);
  lane->attach(ring_for<worker_actor, jobs_waiting>(self));
  return {
      [core, index, lane](jobs_waiting) { run_jobs(*core, *core->workers[index], *lane); },
  };
}

} // namespace

worker_actor spawn_worker(caf::actor_system& system, pipeline_core& core, std::size_t index,
                          bool detached) {
  auto* lane = &core.workers[index]->jobs;
  if (detached) return system.spawn<caf::detached>(worker, &core, index, lane);
  return system.spawn(worker, &core, index, lane);
}

worker_actor spawn_quick_worker(caf::actor_system& system, pipeline_core& core, std::size_t index) {
  return system.spawn(worker, &core, index, &core.workers[index]->quick_jobs);
}

} // namespace engram
