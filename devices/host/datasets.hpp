#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/host/batches.hpp"
#include "engram/devices/host/processes.hpp"
#include "engram/devices/host/resident_set.hpp"
#include "engram/devices/host_policy.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>

namespace engram {

/// The datasets of one GPU: the owner is asked to hold them, one after the other, then the runners
/// to serve them. A publication ends when the runner that serves has its dataset. Told what happens
/// to the processes; on the device's thread, but for `uploaded_bytes`.
class host_datasets {
public:
  host_datasets(const process_device_options& options, const clock_source& clock,
                const host_policy& policy, host_processes& processes, host_batches& batches);
  /// Publications that are left end as well.
  ~host_datasets();

  void publish(std::shared_ptr<publication> wanted);
  /// Forgets a dataset here and in all processes.
  void retire(std::uint64_t key);

  // -- what happens --
  void on_owner_ready() { ask_owner(); }
  void on_owner_gone() { owner_is_asked_ = false; }
  /// The owner holds a dataset; `message` brings the handles to its memory.
  void on_published(host_process& owner, host_message& message);
  /// The owner does not take the dataset that it was asked to.
  void on_publication_refused(host_process& owner, const host_message& message);
  /// A runner has started: it is asked for all that there is.
  void on_runner_greeted(host_process& runner);
  /// A runner serves a dataset, or refuses to.
  void on_attach_answer(host_process& runner, const host_message& message);
  /// A child that does not answer for a dataset is killed; a publication that nobody can do fails.
  void look_for_the_slow();

  /// Returns the device memory of what is held.
  std::uint64_t bytes() const noexcept { return residents_.bytes(); }
  /// Returns how much was ever copied to the GPU. On any thread.
  std::uint64_t uploaded_bytes() const noexcept { return uploaded_bytes_; }

private:
  void ask_owner();
  void attach(host_process& runner, std::uint64_t key);
  void end_publication(result<void> outcome);
  bool is_under_way(std::uint64_t key) const;
  time_point patience_for(const dataset& data) const;

  const process_device_options& options_;
  const clock_source& clock_;
  const host_policy& policy_;
  host_processes& processes_;
  host_batches& batches_;
  resident_set residents_;
  std::deque<std::shared_ptr<publication>> publications_; ///< the first one is under way
  bool owner_is_asked_ = false;
  std::atomic<std::uint64_t> uploaded_bytes_{0};
};

} // namespace engram
