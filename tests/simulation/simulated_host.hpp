#pragma once

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/host_policy.hpp"
#include "engram/devices/sim_device.hpp"
#include "engram/tests/simulation/dice.hpp"
#include "engram/tests/simulation/story.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram::simulation {

struct host_setup {
  sim_options gpu; ///< of every runner
  host_limits limits;
  duration least_start = std::chrono::milliseconds{150};
  duration most_start = std::chrono::milliseconds{250};
};

/// A GPU in child processes, without the processes: host_policy decides over children that start,
/// serve, stop answering and die in virtual time. A runner is a simulated GPU of its own, gone with
/// all its work when it dies. What the owner holds has to be uploaded again when it dies; runners
/// go on with what they have mapped.
class simulated_host final : public device {
public:
  simulated_host(host_setup setup, std::shared_ptr<const cpu_engine> engine,
                 std::shared_ptr<alarm_clock> clock, fault_points& faults, std::uint64_t seed,
                 const story& tale);
  ~simulated_host() override;

  // -- trouble -----------------------------------------------------------------------------------

  enum class victim : std::uint8_t { owner, serving, standby, starting };
  /// Ends a child; `cause` as host_policy wants it. Nothing happens if there is no such child.
  void end(victim which, std::string_view cause);
  /// A child answers nothing any more, as after SIGSTOP.
  void freeze(victim which);
  /// All frozen children go on where they were.
  void thaw();
  /// The next `starts` children die before they are ready.
  void fail_starts(std::uint32_t starts) noexcept { failing_starts_ = starts; }

  // -- what is seen of it ------------------------------------------------------------------------

  const host_policy& policy() const noexcept { return policy_; }
  /// What a child may take to start again after all trouble is over.
  duration longest_return() const noexcept;
  std::size_t deaths() const noexcept { return deaths_; }
  /// What the policy did against its own rules; empty.
  const std::vector<std::string>& problems() const noexcept { return problems_; }

  // -- device ------------------------------------------------------------------------------------

  const device_info& info() const noexcept override { return info_; }
  void run(work_batch_ptr batch, run_done done) override;
  result<void> publish(const dataset_ptr& data) override;
  void retire(std::uint64_t key) override;
  bool is_resident(std::uint64_t key) const override;
  memory_budget budget() const noexcept override;
  std::uint64_t workspace_bytes(const work_batch& batch) const noexcept override;
  bool reset() override;
  void listen(device_listener listener) override { listener_ = std::move(listener); }

private:
  struct child {
    host_id id = 0;
    host_role role = host_role::runner;
    bool ready = false;
    bool dying = false;                        ///< its end is on the way
    bool frozen = false;                       ///< does nothing until it is thawed
    std::unique_ptr<device> gpu;               ///< of a runner that is ready
    std::vector<std::function<void()>> missed; ///< what it has to do once it is thawed
  };
  struct job {
    host_id runner = 0;
    work_batch_ptr batch;
    run_done done;
    time_point since;
  };

  void at(time_point when, std::function<void()> action);
  child* find(host_id id) noexcept;
  child* find(victim which) noexcept;
  const child* serving() const noexcept;
  void act();
  void start(const host_policy::action& what);
  void become_ready(host_id id);
  void upload_again(host_id owner);
  void die(host_id id, std::string_view cause);
  void lose_jobs(host_id runner, std::string_view cause);
  void give(std::uint64_t number);
  void on_outcome(std::uint64_t number, run_outcome outcome);
  void fail(run_done done, fault_class kind, std::string message);
  void note_oldest();
  void arm_timer();
  void check();
  void say(device_event::kind what, std::string_view cause, std::string message) const;
  std::string name_of(host_role role, host_id id) const;
  std::uint64_t owned_bytes() const noexcept;

  const host_setup setup_;
  const device_info info_;
  const std::uint64_t budget_bytes_;
  std::shared_ptr<const cpu_engine> engine_;
  std::shared_ptr<alarm_clock> clock_;
  fault_points& faults_;
  dice dice_;
  const story& tale_;
  device_listener listener_;

  host_policy policy_;
  std::vector<child> children_;
  std::map<std::uint64_t, job> jobs_; ///< ascending: the oldest first
  std::uint64_t last_job_ = 0;
  std::map<std::uint64_t, dataset_ptr> wanted_; ///< what was published and not retired
  bool owner_has_all_ = false;
  std::uint32_t failing_starts_ = 0;
  std::size_t deaths_ = 0;
  std::optional<time_point> alarm_;
  std::vector<std::string> problems_;
  std::shared_ptr<char> alive_ =
      std::make_shared<char>(); ///< alarms of a device that is gone do nothing
};

} // namespace engram::simulation
