#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/host/batches.hpp"
#include "engram/devices/host/datasets.hpp"
#include "engram/devices/host/processes.hpp"
#include "engram/devices/host_policy.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Keeps the child processes of one GPU going: hears what they say, tells the policy and does what
/// it decides, and tells others what became of the device.
class host_supervisor {
public:
  host_supervisor(const process_device_options& options, const clock_source& clock,
                  host_processes& processes, host_batches& batches);

  // -- on the device's thread --

  void begin();
  /// Does what the policy says.
  void act();
  /// Answers what runners have ended, and finds those that are lost.
  bool collect();
  /// Looks after what is late by now; false if nothing was.
  bool look_for_the_late(time_point now);
  /// Does what became known while the thread slept.
  void on_news(const host_processes::news& news);
  /// Returns true while the runner that serves has a batch.
  bool is_busy() const noexcept { return policy_.is_busy(); }
  std::optional<time_point> timer() const noexcept { return policy_.timer(); }
  host_datasets& datasets() noexcept { return datasets_; }
  /// As host_datasets::room_for, with what is used now.
  result<void> room_for(const dataset& data);

  // -- on any thread --

  /// Blocks until a runner can serve; `unavailable` says why none will.
  result<void> wait_until_usable();
  /// Changes no more once the device is usable.
  const device_info& info() const noexcept { return info_; }
  memory_budget budget() const noexcept { return {used_bytes_, budget_bytes_}; }
  std::uint64_t uploaded_bytes() const noexcept { return datasets_.uploaded_bytes(); }
  std::vector<device_process> processes() const;
  void listen(device_listener listener);

private:
  void start(host_id id, host_role role);
  void give_batches_to(host_id id);
  void lose(host_id id, std::string_view cause);
  void call_restored_once_it_answers();
  void bury(host_process& process, std::string_view cause);
  bool bury_if_lost(host_process& process);
  void look_for_the_dead();
  void hear(host_process& process);
  void on_message(host_process& process, host_message& message);
  void on_greeting(host_process& process, const host_message& message);
  void on_owner_facts(const host_ready& facts);
  void tell_policy_if_ready(host_process& process);
  void complain(const std::string& why);
  void note_trouble(const std::string& why);
  void tell(device_event::kind what, std::string_view cause, std::string message);
  void update_list();

  const process_device_options& options_;
  const clock_source& clock_;
  host_processes& processes_;
  host_batches& batches_;
  host_policy policy_;
  host_datasets datasets_;

  mutable std::mutex mutex_;
  std::condition_variable opened_;
  device_info info_;
  device_listener listener_;
  std::vector<device_process> process_list_;
  time_point settled_at_{};
  std::string first_trouble_; ///< why a child could not be started or used, or that it ended
  std::atomic<std::uint64_t> used_bytes_{0}, budget_bytes_{0};
};

} // namespace engram
