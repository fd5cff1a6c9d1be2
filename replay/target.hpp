#pragma once

#include "engram/actors/answer.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/pipeline/requests.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram::replay {

/// What a replay sends its requests to. Every member is thread-safe.
class replay_target {
public:
  virtual ~replay_target() = default;

  /// Returns what this is, for reports: "in-process pipeline".
  virtual std::string description() const = 0;

  /// Hands a request over and returns at once. `done` is called exactly once, on any thread, or the
  /// replay counts the request as lost or duplicated.
  virtual void send(request what, std::function<void(answer)> done) = 0;

  /// Sets a fault point; see fault_points.
  virtual result<void> arm_fault(std::string_view setting) = 0;
  /// Returns what `arm_fault` would, and sets nothing.
  virtual result<void> check_fault(std::string_view setting) const = 0;

  /// Returns the fault points with what they did so far; empty where that is not known.
  virtual std::vector<fault_points::site_info> faults() const { return {}; }

  virtual health_report health() const = 0;
  /// Returns what changed since event number `after`, oldest first.
  virtual std::vector<pipeline_event> events(std::uint64_t after) const = 0;
  /// Returns the target's own counters, if it has any.
  virtual std::optional<pipeline_counts> counts() const = 0;

  /// Takes nothing new and waits up to `drain` for what was sent. No `done` is called after it
  /// returned.
  virtual void stop(std::chrono::milliseconds drain) = 0;
};

/// Returns a target that submits to `pipe`, which outlives it, and stops it in the end.
std::unique_ptr<replay_target> make_pipeline_target(pipeline& pipe);

} // namespace engram::replay
