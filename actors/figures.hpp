#pragma once

/// What a pipeline has counted, as numbers. No actor types here: this header is part of the public
/// API.

#include "engram/actors/answer.hpp"
#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace engram {

inline constexpr std::size_t answer_status_count = static_cast<std::size_t>(ec::last_) + 1;

/// A histogram's observations since start: `buckets[i]` of them were at most the bound i and above
/// the one before; the last bucket is above every bound.
struct histogram_counts {
  std::vector<std::uint64_t> buckets;
  double sum = 0;
};

/// Of one operation, since start.
struct operation_figures {
  std::array<std::uint64_t, answer_status_count> answers{}; ///< by ec; `none` is a result
  histogram_counts latency;                                 ///< accepted to answered
  histogram_counts batch_items;
};

/// Of one device, since start but for the speedup.
struct device_figures {
  std::string name;
  std::array<std::uint64_t, route_reason_count> batches{}; ///< sent there first, by reason
  std::uint64_t runs = 0;      ///< batches that it ran well, shadow runs left out
  double transfer_seconds = 0; ///< of those
  double kernel_seconds = 0;   ///< of those
  std::uint64_t launches = 0;  ///< GPUs only, as all below
  std::uint64_t fallbacks = 0; ///< batches it failed or was late with
  std::uint64_t ooms = 0;      ///< runs that its memory did not suffice for
  std::uint64_t hedged = 0;    ///< batches it was late with
  std::uint64_t wrong_answers = 0;
  /// Predicted CPU time / GPU time of the batch routed last, by operation; 0 before there is one.
  std::array<double, operation_count> speedup{};
};

/// Of one kind of actor.
struct actor_figures {
  std::string name;            ///< "ingest", "cpu_worker", as in the metrics
  std::size_t queue_depth = 0; ///< pieces of work that wait for it now
  std::uint64_t restarts = 0;  ///< since start; a worker's with those of its quick lane
};

/// What Engram's own metrics show, and what a dashboard is made of.
struct pipeline_figures {
  std::vector<double> second_bounds; ///< of the histograms of times, ascending
  std::vector<double> item_bounds;   ///< of those of items
  std::array<operation_figures, operation_count> operations;
  std::vector<device_figures> devices; ///< the CPU first
  std::vector<actor_figures> actors;   ///< in the order that a request meets them
};

} // namespace engram
