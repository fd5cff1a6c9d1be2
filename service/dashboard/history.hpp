#pragma once

#include "engram/base/clock.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

namespace engram {

/// Returns the value below which `share` of the observations lie, in the unit of `bounds` and, like
/// Prometheus' histogram_quantile, as if they were spread evenly in their bucket; the highest bound
/// for one beyond it, nothing without observations. `counts` has one more entry than `bounds`.
std::optional<double> quantile_of(std::span<const std::uint64_t> counts,
                                  std::span<const double> bounds, double share);

/// What a pipeline said of itself at one moment.
struct dashboard_reading {
  time_point at{};
  pipeline_figures figures;
  health_report health;
  pipeline_counts counts;
};

/// Reads `pipe` at the moment `now`.
dashboard_reading read_pipeline(const pipeline& pipe, time_point now);

/// What happened between two readings. Rates are per second.
struct dashboard_sample {
  struct percentiles {
    double p50 = 0, p90 = 0, p99 = 0; ///< in seconds
  };
  struct bucket_count {
    std::size_t bucket = 0;
    std::uint64_t count = 0;
  };
  struct route_count {
    std::size_t device = 0;
    route_reason reason = route_reason::no_gpu;
    std::uint64_t count = 0;
  };

  std::uint64_t number = 0; ///< ascending from 1
  double at_seconds = 0;    ///< since the first reading
  double accepted_rate = 0;
  double ok_rate = 0;      ///< answered with a result
  double refused_rate = 0; ///< the caller's mistake, or more than there was room for
  double failed_rate = 0;  ///< every other error
  double batch_rate = 0;
  std::uint64_t in_flight = 0;
  std::vector<std::size_t> queue_depths; ///< by actor
  std::vector<double> run_rates;         ///< by device: batches it ran well
  std::vector<double> success_rates;     ///< by device
  /// By operation, and all of them together in the last; nothing where nothing was answered.
  std::array<std::optional<percentiles>, operation_count + 1> latency;
  std::vector<bucket_count> batch_items; ///< batches by size; buckets without one are left out
  std::vector<route_count> routes;       ///< batches by where they were sent and why, likewise
};

/// Keeps what happened lately, told the time by its readings. Memory is bounded by the number of
/// samples kept. Not thread-safe.
class dashboard_history {
public:
  explicit dashboard_history(std::size_t most_samples = 15 * 60) : most_samples_(most_samples) {}

  /// Takes the next reading. The first one has nothing to be compared with and makes no sample.
  void add(dashboard_reading reading);

  const std::optional<dashboard_reading>& latest() const noexcept { return latest_; }
  /// Returns the moment of the first reading.
  time_point begin() const noexcept { return begin_; }
  /// Oldest first.
  const std::deque<dashboard_sample>& samples() const noexcept { return samples_; }
  std::size_t most_samples() const noexcept { return most_samples_; }

private:
  std::size_t most_samples_;
  time_point begin_{};
  std::uint64_t last_number_ = 0;
  std::optional<dashboard_reading> latest_;
  std::deque<dashboard_sample> samples_;
};

} // namespace engram
