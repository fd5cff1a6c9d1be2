#pragma once

#include "engram/actors/batch_slice.hpp"
#include "engram/actors/batch_windows.hpp"
#include "engram/actors/doorbell.hpp"
#include "engram/actors/event_log.hpp"
#include "engram/actors/evidence.hpp"
#include "engram/actors/handoff.hpp"
#include "engram/actors/ledger.hpp"
#include "engram/actors/metrics.hpp"
#include "engram/actors/pending_request.hpp"
#include "engram/actors/policy/breaker.hpp"
#include "engram/actors/policy/cost_model.hpp"
#include "engram/actors/policy/verification_policy.hpp"
#include "engram/base/admission_gate.hpp"
#include "engram/base/clock.hpp"
#include "engram/config/options.hpp"
#include "engram/datasets/catalog.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// A run for a worker.
struct job {
  run_id run = 0;
  work_batch_ptr batch;
  bool proves_itself = false; ///< a shadow run of a device whose breaker is half open
  strike_flag struck;         ///< of a primary run: once it is true, nobody needs the answer
};

/// What a worker's device made of a run.
struct run_report {
  run_id run = 0;
  run_outcome outcome;
  time_point started;
  time_point ended;
  bool skipped = false; ///< not begun: its batch was struck before
};

/// What telemetry hears about a run, or about a device that was lost.
struct device_report {
  enum class kind : std::uint8_t {
    outcome,    ///< a primary run ended, well or badly
    sample,     ///< a shadow run ended well: its time counts, its success does not
    probe,      ///< a shadow run of a half-open device ended
    fatal,      ///< the device is lost, hung or answers wrong
    restored,   ///< it was lost and is whole again
    overridden, ///< an operator has said something about its breaker: see worker_slot
  };
  kind what = kind::outcome;
  std::size_t device = 0;
  bool good = true;
  std::string cause;
  // For a run that was good, what it took:
  operation op = operation::search;
  std::uint64_t dataset = 0;
  double work = 0;
  double device_seconds = 0;
  time_point dispatched{}; ///< when the run was given to the device
};

/// What a GPU has answered and the CPU is still to repeat.
struct answer_check {
  batch_slice part;
  std::size_t device = 0;  ///< the GPU
  time_point dispatched{}; ///< when the GPU was given the batch
  time_point due{};        ///< from then on it does not wait for the CPU to be idle
};

/// One device, its worker's place, and what the others need to know of it.
struct worker_slot {
  std::unique_ptr<engram::device> device;
  handoff<job> jobs;
  handoff<job> quick_jobs;       ///< those that are not worth a thread switch; see device::is_quick
  fault_point* faults = nullptr; ///< of the worker's handler
  fault_point* quick_faults = nullptr;       ///< the same for `quick_jobs`
  std::size_t most_runs = 2;                 ///< the worker's credit
  std::atomic<std::uint64_t> incarnation{0}; ///< of the worker actor, ascending
  std::atomic<bool> up{false};
  std::atomic<std::uint64_t> restarts{0};
  /// What an operator last said. Written by callers; telemetry follows.
  std::atomic<breaker_override> override_wanted{breaker_override::automatic};
  /// Written by telemetry alone.
  std::atomic<breaker_override> override_held{breaker_override::automatic};
  std::atomic<breaker_state> breaker{breaker_state::closed};
  std::atomic<double> success_rate{1.0};
};

/// What telemetry has learnt: lent to it, and asked by the router. Thread-safe.
class shared_cost_model {
public:
  void add(const cost_model::key& where, double work, double seconds) {
    const std::lock_guard lock{mutex_};
    model_.add(where, work, seconds);
  }
  std::optional<double> predict(const cost_model::key& where, double work) const {
    const std::lock_guard lock{mutex_};
    return model_.predict(where, work);
  }
  void forget_dataset(std::uint64_t dataset) {
    const std::lock_guard lock{mutex_};
    model_.forget_dataset(dataset);
  }

private:
  mutable std::mutex mutex_;
  cost_model model_;
};

enum class pipeline_state : std::uint8_t { ready, draining, unavailable, stopped };
std::string_view to_string(pipeline_state state) noexcept;

/// Everything that outlives an actor: the handoffs between them, the windows, the ledger, the
/// devices and what was learnt. Actors borrow it and keep nothing of their own that a request's
/// answer depends on, so that any of them may die at any time.
///
/// Who uses what: `inbox` callers -> ingest; `entries` ingest -> batcher; `windows` batcher;
/// `orders` batcher -> router; `ledger`, `checks` and `verification` router; `workers[i].jobs`
/// router -> worker i; `run_reports` workers -> router; `device_reports` router -> telemetry;
/// `breakers` telemetry.
struct pipeline_core {
  /// devices[0] is the CPU; the others are GPUs.
  pipeline_core(pipeline_options options, const clock_source& clock,
                std::unique_ptr<fault_points> faults,
                std::vector<std::unique_ptr<engram::device>> devices);
  ~pipeline_core();

  const clock_source& clock;
  std::unique_ptr<fault_points> faults;
  catalog datasets;
  event_log events;
  evidence_writer evidence;
  metrics numbers;
  admission_gate gate;
  answer_desk desk;

  handoff<request_ptr> inbox;
  handoff<window_entry> entries;
  batch_windows windows;
  handoff<batch_order> orders;
  in_flight_ledger ledger;
  verification_policy verification;
  std::deque<answer_check> checks; ///< oldest first
  std::uint64_t checks_wanted = 0; ///< since start
  std::vector<std::unique_ptr<worker_slot>> workers;
  handoff<run_report> run_reports;
  handoff<device_report> device_reports;
  std::vector<breaker> breakers; ///< by device; [0] is not used
  shared_cost_model costs;

  doorbell capacity_freed;                ///< router -> batcher: batches were struck
  std::atomic<bool> batcher_waits{false}; ///< the batcher holds requests and wants to hear of it
  handoff<std::size_t>
      probes_wanted;        ///< telemetry -> router: this half-open device gets no traffic
  doorbell pulse_wanted;    ///< the pipeline -> supervisor: count one in `pulses`
  doorbell workers_changed; ///< supervisor -> router: a worker died or came back

  std::atomic<pipeline_state> state{pipeline_state::ready};
  std::atomic<bool> supervised{true};   ///< false once the supervisor has died unasked
  std::atomic<std::uint64_t> pulses{0}; ///< answers of the supervisor that it can be reached
  std::atomic<duration> default_deadline{
      duration::zero()}; ///< of `options`, for the callers' threads
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> batches{0};
  std::atomic<std::uint64_t> shadow_runs{0};
  std::atomic<std::uint64_t> shadow_mismatches{0};
  std::atomic<std::uint64_t> actor_restarts{0};

  /// Trouble in the actors' handlers: "actor.<name>".
  struct handler_faults {
    fault_point *ingest, *batcher, *router, *telemetry, *supervisor;
  } handlers;
  /// Trouble with their timers: "timer.<name>".
  struct timer_faults {
    fault_point *batcher, *router, *telemetry;
  } timers;

  /// The options in force. A reload replaces them.
  std::shared_ptr<const pipeline_options> options() const;
  void set_options(pipeline_options options);

  /// Returns how many batches may be with the router: every worker's credit.
  std::size_t capacity() const noexcept { return capacity_; }
  /// Returns the batches that are with the router or on their way to it.
  std::size_t outstanding_batches() const { return ledger.outstanding() + orders.size(); }

  /// Returns the sentence for those who are answered with `unavailable`.
  std::string_view why_unavailable() const noexcept;

  /// Returns what the metrics show of this moment.
  metrics::snapshot snapshot() const;

  /// Answers everything that is still waiting. Only when no actor runs any more.
  void fail_everything(ec code, const std::string& message);

private:
  void register_faults();
  void hear(std::size_t device, const device_event& event);

  mutable std::mutex options_mutex_;
  std::shared_ptr<const pipeline_options> options_;
  std::size_t capacity_ = 0;
};

breaker_limits breaker_limits_of(const pipeline_options& options);
window_limits window_limits_of(const pipeline_options& options);

/// Returns milliseconds as a duration.
inline duration from_milliseconds(double ms) noexcept {
  return from_seconds(ms / 1000.0);
}

} // namespace engram
