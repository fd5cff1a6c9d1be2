#pragma once

#include "engram/actors/answer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace engram {

/// The part of the configuration that routing goes by.
struct route_limits {
  bool gpu_enabled = true;
  bool force_cpu = false;
  std::uint32_t min_batch = 64;
  double speedup_threshold = 1.5;
};

/// What is known about a batch, whatever the device.
struct batch_facts {
  std::size_t items = 0;
  double cpu_queue_seconds = 0;      ///< predicted work ahead of it on the CPU
  std::optional<double> cpu_seconds; ///< predicted; nothing if never seen
};

/// What is known about a batch on one GPU.
struct gpu_facts {
  std::size_t device = 0; ///< index of the device, not among the GPUs
  bool resident = false;  ///< the dataset is there, or none is needed
  bool enabled = false;   ///< its worker is up and its breaker is closed
  bool fits_budget = false;
  bool has_credit = false; ///< it may take another batch now
  double queue_seconds = 0;
  std::optional<double> gpu_seconds; ///< predicted; nothing if never seen
};

struct route {
  std::size_t device = 0; ///< 0 is the CPU
  route_reason reason = route_reason::no_gpu;
};

/// Decides where a batch goes. The rules apply in the order of `route_reason`; a rule sends the
/// batch to the CPU when no GPU passes it. Among the GPUs that pass all, the one predicted to
/// finish first is taken. A device that was never measured for this operation passes the speed-up
/// rule, so that it gets measured.
route decide_route(const route_limits& limits, const batch_facts& batch,
                   std::span<const gpu_facts> gpus);

} // namespace engram
