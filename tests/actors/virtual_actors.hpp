#pragma once

#include "engram/actors/actors.hpp"
#include "engram/actors/core.hpp"
#include "engram/tests/support/manual_clock.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/send.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace engram::test {

/// The whole actor pipeline on one thread in virtual time: CAF's test scheduler and a clock whose
/// hands are turned here. Nothing happens but in `run`, `advance`, `leap` and `stop`.
class virtual_actors {
public:
  /// Chooses which of `n` actors that have something to do goes next.
  using chooser = std::function<std::size_t(std::size_t n)>;

  /// Without a `chooser` they go in turn. devices[0] is the CPU; `clock` outlives this.
  virtual_actors(pipeline_options options, manual_alarm_clock& clock,
                 std::unique_ptr<fault_points> faults, std::vector<std::unique_ptr<device>> devices,
                 chooser choose = nullptr)
      : clock_(clock), choose_(std::move(choose)),
        core_(std::make_unique<pipeline_core>(std::move(options), clock, std::move(faults),
                                              std::move(devices))),
        config_(), system_(config_),
        scheduler_(dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler())) {
    caf_clock().current_time = clock.now();
    supervisor_ = spawn_pipeline(system_, *core_, {.detach_workers = false});
    run();
  }

  ~virtual_actors() {
    stop();
    core_->fail_everything(ec::shutting_down, "the test is over");
  }
  virtual_actors(const virtual_actors&) = delete;
  virtual_actors& operator=(const virtual_actors&) = delete;

  /// Ends all actors; what no stage holds any more stays unanswered.
  void stop() {
    if (!supervisor_) return;
    caf::anon_send(supervisor_, stop_pipeline{});
    run();
    detach_doorbells(*core_);
    supervisor_ = nullptr;
    run();
  }

  pipeline_core& core() { return *core_; }

  /// Lets every actor do what it can at this moment.
  void run() {
    auto& jobs = scheduler_.jobs;
    while (!jobs.empty()) {
      if (choose_) std::swap(jobs.front(), jobs[choose_(jobs.size())]);
      const auto before = clock_.now();
      scheduler_.run_once(); // one message of one actor
      if (clock_.now() != before) held_up_.push_back({before, clock_.now()});
    }
  }

  /// A time in which no actor could do anything, because one of them slept.
  struct hold_up {
    time_point from, to;
  };
  const std::vector<hold_up>& hold_ups() const noexcept { return held_up_; }

  /// Turns the hands on by `d`, stopping at every timer and alarm on the way.
  void advance(duration d) {
    const auto target = clock_.now() + d;
    run();
    while (clock_.now() < target) {
      auto next = target;
      if (const auto& timers = caf_clock().schedule(); !timers.empty())
        next = std::min(next, timers.begin()->first);
      if (const auto alarm = clock_.next()) next = std::min(next, *alarm);
      next = std::max(next, clock_.now());
      clock_.advance_to(next);
      catch_up();
      if (next == target) break;
    }
    while (caf_clock().now() < clock_.now()) // an actor slept
      catch_up();
  }

  /// The hands jump by `d`, as after a machine was suspended: every timer and alarm on the way
  /// comes late, the alarms of devices before the actors' timers or after them.
  void leap(duration d, bool alarms_first) {
    run();
    clock_.leap(d);
    if (alarms_first) clock_.ring();
    if (alarms_first) run();
    catch_up();
    clock_.ring();
    run();
  }

private:
  struct virtual_config : caf::actor_system_config {
    virtual_config() {
      set("scheduler.policy", caf::atom("testing"));
      set("logger.inline-output", true);
      add_message_types<caf::id_block::engram>();
    }
  };
  caf::detail::test_actor_clock& caf_clock() { return scheduler_.clock(); }

  /// Brings the actors' timers to the time that the clock shows.
  void catch_up() {
    caf_clock().advance_time(clock_.now() - caf_clock().now());
    run();
  }

  manual_alarm_clock& clock_;
  chooser choose_;
  std::unique_ptr<pipeline_core> core_; ///< outlives the actor system
  virtual_config config_;
  caf::actor_system system_;
  caf::scheduler::test_coordinator& scheduler_;
  supervisor_actor supervisor_;
  std::vector<hold_up> held_up_;
};

} // namespace engram::test
