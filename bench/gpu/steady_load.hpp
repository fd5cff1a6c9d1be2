#pragma once

#include "engram/base/clock.hpp"
#include "engram/bench/gpu/query_set.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/replay/inbox.hpp"
#include "engram/replay/send_log.hpp"
#include "engram/replay/sender.hpp"
#include "engram/replay/target.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace engram::bench {

inline std::int64_t ns_since(time_point start, time_point when) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(when - start).count();
}

/// When a request was due and when it was answered, from the start of the load.
struct answered_request {
  std::int64_t due_ns = 0;
  std::int64_t answered_ns = 0;
};

/// What came of a load. Every answer was compared with the right one.
struct load_outcome {
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;       ///< never answered
  std::uint64_t duplicated = 0; ///< answered more than once
  std::uint64_t wrong = 0;      ///< other bits than the reference's
  std::uint64_t errors = 0;     ///< answered with an error
  std::uint64_t by_gpu = 0;     ///< answered by a GPU that was asked first
  std::uint64_t fell_back = 0;
  std::vector<answered_request> answers;
  std::vector<std::string> examples; ///< the first few wrong answers and errors, a sentence each

  /// Returns true if every request got its one right answer.
  bool is_clean() const noexcept { return lost + duplicated + wrong + errors == 0; }
};

/// Sends searches to a pipeline at Poisson times, whether or not earlier ones are answered, and
/// checks every answer.
class steady_load {
public:
  /// Begins to send. All outlive this.
  steady_load(pipeline& pipe, const query_set& queries, double rate);
  ~steady_load();

  /// Returns when a GPU first answered, as the device that was asked first, at or after `when`.
  std::optional<time_point> gpu_answered_since(time_point when) const;
  std::uint64_t sent() const noexcept { return log_.size(); }
  time_point start() const noexcept { return start_; }

  /// Sends no more, waits up to `patience` for what is unanswered, and stops the pipeline. Call it
  /// once, at the end.
  load_outcome finish(std::chrono::milliseconds patience = std::chrono::seconds{5});

private:
  void collect();
  void take(replay::outcome what);
  void complain(std::string what);

  pipeline& pipe_;
  const query_set& queries_;
  const replay::scenario scenario_;
  std::unique_ptr<replay::replay_target> target_;
  replay::send_log log_;
  replay::inbox answers_;
  replay::sender sender_;
  time_point start_;

  mutable std::mutex mutex_;
  load_outcome outcome_;
  std::vector<std::int64_t> gpu_answers_; ///< times, about ascending

  std::jthread sending_, collecting_; // last: they use all of the above
};

/// In seconds, from due to answered.
struct latency_summary {
  std::size_t count = 0;
  double p50 = 0;
  double p99 = 0;
};
struct time_span {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
};
/// Summarises the latencies of those requests that were on their way at some moment of one of
/// `spans`, which do not overlap.
latency_summary latencies_within(const std::vector<answered_request>& answers,
                                 std::vector<time_span> spans);

} // namespace engram::bench
