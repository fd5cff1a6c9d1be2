#pragma once

/// What a request gets back. No actor types here: this header is part of the public API.

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"
#include "engram/devices/work.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Why a batch went where it went. The first that applies decides.
enum class route_reason : std::uint8_t {
  forced_cpu,      ///< gpu.force_cpu_mode
  no_gpu,          ///< there is none, or gpu.enabled is false
  not_resident,    ///< the dataset is not in the GPU's memory
  gpu_disabled,    ///< its breaker is not closed
  below_min_batch, ///< fewer items than gpu.gpu_min_batch_size
  below_speedup,   ///< predicted CPU time / GPU time is below gpu.thresholds.gpu_speedup_threshold
  vram_budget,     ///< its workspace does not fit the memory budget
  gpu_busy,        ///< the CPU is predicted to finish first, given both queues
  gpu,             ///< the GPU
  last_ = gpu
};

inline constexpr std::size_t route_reason_count = static_cast<std::size_t>(route_reason::last_) + 1;

std::string_view to_string(route_reason reason) noexcept;

enum class breaker_state : std::uint8_t { closed, open, half_open, last_ = half_open };

std::string_view to_string(breaker_state state) noexcept;

/// What an operator has said about the breaker of a GPU.
enum class breaker_override : std::uint8_t {
  automatic, ///< nothing: the breaker decides
  closed,    ///< no success rate, however low, opens it; a device that is lost still does
  open,      ///< the GPU is not used
  last_ = open
};

std::string_view to_string(breaker_override what) noexcept;
/// Returns what `name` means; nothing if it is none of their names.
std::optional<breaker_override> breaker_override_of(std::string_view name) noexcept;

/// How an answer came about. For a request that was split: the devices of all parts, joined by '+';
/// the reason of the last part; the most attempts; the largest batch; the longest times.
struct answer_trace {
  std::string device; ///< "cpu", "gpu0"; empty if nothing ran
  route_reason reason = route_reason::no_gpu;
  std::uint32_t attempts = 0; ///< devices that were asked, 1 without trouble
  bool fell_back = false;     ///< the first device failed or was late and another one answered
  std::string cause; ///< what the first device did: "oom", "time_limit", "worker_lost", ...
  std::uint32_t batch_items = 0; ///< items of the batch it rode in
  std::uint64_t dataset_version = 0;
  double queue_seconds = 0;  ///< waiting for a device
  double window_seconds = 0; ///< waiting for company
  double transfer_seconds = 0;
  double kernel_seconds = 0;
  double total_seconds = 0; ///< accepted to answered
};

/// A result, or an error with code and sentence.
struct answer {
  request_id id = 0;
  operation op = operation::search;
  error failure{ec::none, {}}; ///< code `none` for a result
  item_output output;          ///< see there; the rows of all parts in the order asked
  answer_trace trace;

  bool ok() const noexcept { return failure.code == ec::none; }
};

} // namespace engram
