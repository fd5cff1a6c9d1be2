#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/gpu_fault_sites.hpp"
#include "engram/devices/host/agenda.hpp"
#include "engram/devices/host/runner_link.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace engram {

/// The way of a batch: from `run` through the runner that serves to its answer. A batch that finds
/// no slot waits for one; one that finds no runner fails. Thread-safe.
class host_batches {
public:
  /// For the device `name`, whose fault sites are `sites`; adds "<name>.doorbell". The thread of
  /// `agenda` collects what runners end.
  host_batches(std::string name, fault_points& faults, const gpu_fault_sites& sites,
               const clock_source& clock, host_agenda& agenda);

  void run(work_batch_ptr batch, run_done done);
  /// Runs a batch of hardly any work, and asks no fault point.
  void run_probe(run_done done);

  /// `runner` gets the batches from now on; `datasets` are the keys of those that it has.
  void begin_serving(std::shared_ptr<runner_link> runner, std::set<std::uint64_t> datasets);
  /// Nobody does.
  void end_serving();
  /// The runner that serves has one dataset more.
  void add_dataset(std::uint64_t key);
  void remove_dataset(std::uint64_t key);

  /// Returns the runner that serves, or null.
  std::shared_ptr<runner_link> serving() const;
  bool has_dataset(std::uint64_t key) const;
  /// Returns what the runner that serves has to do.
  runner_link::load load() const;

  // -- on the device's thread --

  /// Answers what `runner` has ended; false if there was nothing.
  bool collect(runner_link& runner);
  /// Answers what `runner`, which is lost, has ended, and fails what it has not: "... : `why`".
  void settle(runner_link& runner, std::string_view why);
  /// Tries again with the batches that found no slot.
  void dispatch_waiting();
  /// The thread is about to sleep until a first batch wakes it. False if one is there already.
  bool fall_asleep();
  void wake_up() noexcept { is_asleep_ = false; }
  /// After this nothing is sent or failed; batches that come are dropped.
  void stop() noexcept { stopped_ = true; }

private:
  void order_trouble(host_job& job);
  void dispatch(host_job job);
  void let_wait(host_job job, const runner_link& runner);
  void look_out();
  void end(host_job job, run_outcome outcome);
  void fail(host_job& job, fault_class how, std::string why);

  const std::string name_;
  const gpu_fault_sites& sites_;
  const fault_site doorbell_;
  const clock_source& clock_;
  host_agenda& agenda_;
  std::atomic<bool> is_asleep_{false}; ///< the thread, without a batch to wait for
  std::atomic<bool> stopped_{false};

  mutable std::mutex mutex_;
  std::shared_ptr<runner_link> serving_;
  std::set<std::uint64_t> datasets_; ///< of the serving runner, by key
  std::deque<host_job> waiting_;     ///< for a slot
};

} // namespace engram
