#pragma once

#include "engram/base/error.hpp"
#include "engram/replay/report.hpp"
#include "engram/replay/request_pool.hpp"
#include "engram/replay/scenario.hpp"
#include "engram/replay/target.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>

namespace engram::replay {

/// How a running replay is doing.
struct progress {
  enum class phase : std::uint8_t { warm_up, measuring, draining, verifying };
  phase now = phase::warm_up;
  double at_seconds = 0;       ///< negative while warming up
  double measured_seconds = 0; ///< where it ends
  std::uint64_t sent = 0;
  std::uint64_t outstanding = 0;
  std::uint64_t errors = 0;
  std::uint64_t late_sends = 0;
  double sent_per_second = 0; ///< these four: of the last complete slice
  double answered_per_second = 0;
  std::uint64_t p50_ns = 0;
  std::uint64_t p99_ns = 0;
  std::map<std::string, breaker_state> breakers;
  std::size_t to_verify = 0; ///< answers that wait to be compared
};

struct run_options {
  /// Called every 50 ms or so on the thread that runs the replay.
  std::function<void(const progress&)> on_progress;
  /// Publishes a dataset of the scenario once more. Needed for one with [[publish]]; called on a
  /// thread of its own.
  std::function<result<void>(const synthetic_dataset&)> publish;
  /// Ends the replay early; what was sent is still waited for.
  std::stop_token stop;
  /// How long an answer may come after its deadline before it is lost.
  duration grace = std::chrono::seconds{2};
  /// How long comparing answers may go on after the load has ended.
  std::chrono::milliseconds verify_limit{30'000};
};

/// Replays a scenario against `target`, stops the target, and returns what happened. Ends by
/// itself. Errors, before anything is sent: `not_found` and `invalid_argument` for a dataset or a
/// fault site that is not there.
result<report> run_replay(const scenario& what, replay_target& target, const dataset_finder& find,
                          const run_options& options = {});

} // namespace engram::replay
