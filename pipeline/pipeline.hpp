#pragma once

#include "engram/actors/answer.hpp"
#include "engram/actors/event_log.hpp"
#include "engram/actors/figures.hpp"
#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/pipeline/requests.hpp"

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace engram {

/// Takes a request back. Copyable, thread-safe, may outlive the pipeline.
class ticket {
public:
  ticket() = default;
  request_id id() const noexcept { return id_; }
  /// Answers the request with `cancelled` unless it is answered already; returns true if it did.
  bool cancel() const;

private:
  friend class pipeline;
  ticket(request_id id, std::weak_ptr<void> what) : id_(id), request_(std::move(what)) {}
  request_id id_ = 0;
  std::weak_ptr<void> request_;
};

/// How one device is doing.
struct device_health {
  device_info info;
  bool available = false; ///< its worker is up and its breaker is closed
  breaker_state breaker = breaker_state::closed;
  breaker_override overridden = breaker_override::automatic; ///< what an operator said
  double success_rate = 1.0;                                 ///< of the outcome window
  memory_budget memory;
  std::uint64_t restarts = 0;
  std::vector<std::uint64_t> resident;   ///< keys of the datasets it holds
  std::vector<device_process> processes; ///< its child processes, if it works in some
};

struct health_report {
  bool live = true;   ///< the supervisor and its actors are up
  bool ready = false; ///< takes requests
  /// The supervisor is up. Should it die, every pending request is answered with `unavailable` and
  /// new ones are refused; end the process then.
  bool supervised = true;
  std::string state; ///< "ready", "draining", "unavailable", "stopped"
  std::uint64_t in_flight = 0;
  std::vector<device_health> devices;
};

/// Counters that tests and replays judge by. All since start.
struct pipeline_counts {
  std::uint64_t accepted = 0;     ///< passed the admission gate
  std::uint64_t answered = 0;     ///< answers given to accepted requests
  std::uint64_t lost = 0;         ///< answer slots that died unanswered; a bug if not 0
  std::uint64_t late_answers = 0; ///< second answers that were dropped
  std::uint64_t batches = 0;
  std::uint64_t shadow_runs = 0;
  std::uint64_t shadow_mismatches = 0;
  std::uint64_t actor_restarts = 0;
};

/// A running pipeline: ingest, batcher, router, workers and telemetry under a supervisor. Every
/// member is thread-safe. No exception leaves it but std::bad_alloc.
class pipeline {
public:
  /// Starts the actors and finds the devices that `options` names. `invalid_argument` for unusable
  /// options; `unavailable` for a device that is named and not there.
  static result<std::unique_ptr<pipeline>> start(pipeline_options options = {});
  /// Stops as `stop(0)` does, unless stopped before.
  ~pipeline();
  pipeline(const pipeline&) = delete;
  pipeline& operator=(const pipeline&) = delete;

  // -- datasets ----------------------------------------------------------------------------------

  /// Makes `content` the current version of `name` here and on every device that has room for it.
  /// Requests accepted before keep the version they started with. Blocks while devices upload; the
  /// CPU serves meanwhile. `unavailable` where fault point dataset.publish says so.
  result<dataset_ptr> publish(std::string name, std::variant<collection_ptr, graph_ptr> content);
  /// Removes a dataset; `not_found`.
  result<void> drop(std::string_view name);
  dataset_ptr find(std::string_view name) const;
  std::vector<dataset_ptr> datasets() const;

  // -- requests ----------------------------------------------------------------------------------

  /// Hands `what` over and returns at once. `done` is called exactly once, on any thread (this one
  /// for a refusal), with a result or one of: invalid_argument (shape, range, NaN: names the
  /// place), not_found, overloaded, deadline_exceeded, cancelled, shutting_down, unavailable,
  /// internal. It must not block; what it throws is dropped.
  ticket submit(request what, std::function<void(answer)> done);
  /// As above; the future always becomes ready.
  std::future<answer> submit(request what);
  /// As above, for coroutines: `answer a = co_await pipe.ask(search_request{...});`. Resumes on a
  /// pipeline thread.
  class awaitable;
  awaitable ask(request what);

  // -- running it --------------------------------------------------------------------------------

  /// Takes new options while running: all or none. `invalid_argument` names what is unusable or
  /// needs a restart.
  result<void> reload(const pipeline_options& options);
  pipeline_options options() const;

  health_report health() const;
  /// Returns true if the supervisor can be reached: it, or whoever shares its thread, may hang
  /// while `health` knows of nothing. Waits up to `patience` for its answer.
  bool responds(std::chrono::milliseconds patience) const;
  pipeline_counts counts() const;
  /// Returns what the metrics count, as numbers, whether or not they are exported.
  pipeline_figures figures() const;
  /// Returns the events with a number above `after`, oldest first; the last 1,000 are kept.
  std::vector<pipeline_event> events(std::uint64_t after = 0) const;
  /// Returns all metrics in Prometheus' text format.
  std::string metrics() const;

  /// Overrides the breaker of the GPU called `device` until the next call or the end of the
  /// process, and waits until that is in effect, a second at most. Nothing makes a device that is
  /// lost available: `closed` only keeps its success rate from opening the breaker, and one that is
  /// open proves itself first. `not_found` names the devices; `invalid_argument` for the CPU.
  result<void> override_breaker(std::string_view device, breaker_override what);

  /// Arms a fault point: "gpu0.launch=return(sticky)"; see fault_points.
  result<void> arm_fault(std::string_view setting);
  /// Arms several, all or none.
  result<void> arm_faults(std::span<const std::string> settings);
  /// Returns what `arm_fault` would, and arms nothing.
  result<void> check_fault(std::string_view setting) const;
  void disarm_faults();
  std::vector<fault_points::site_info> faults() const;

  /// The fault points of the HTTP door. They come with the pipeline, so that a configuration can
  /// arm them before the door opens.
  struct door_faults {
    fault_point& accept;
    fault_point& send;
  };
  door_faults http_faults() const;

  /// Takes nothing new, waits up to `drain` for what was accepted, answers the rest with
  /// `shutting_down`, and ends every actor. Returns true if all were served. Later calls return the
  /// same at once.
  bool stop(std::chrono::milliseconds drain = std::chrono::milliseconds{10'000});

private:
  pipeline();
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// What `co_await` waits on; see pipeline::ask.
class pipeline::awaitable {
public:
  awaitable(pipeline& owner, request what) : owner_(owner), what_(std::move(what)) {}
  bool await_ready() const noexcept { return false; }
  /// Does not suspend if the answer, a refusal say, is there already: a coroutine that tries again
  /// and again does not nest.
  bool await_suspend(std::coroutine_handle<> waiting) {
    owner_.submit(std::move(what_), [this, waiting](answer a) {
      answer_ = std::move(a);
      if (met_.exchange(true)) waiting.resume();
    });
    return !met_.exchange(true);
  }
  answer await_resume() { return std::move(*answer_); }

private:
  pipeline& owner_;
  request what_;
  std::optional<answer> answer_;
  std::atomic<bool> met_{false}; ///< the answer or the suspension came first
};

} // namespace engram
