#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/bench/gpu/record.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace engram::bench {

/// The two devices that are compared, and what they need to live.
struct bench_devices {
  fault_points faults; ///< nothing is armed
  steady_clock_source clock;
  std::unique_ptr<device> cpu;
  std::unique_ptr<device> gpu;
  gpu_description description;
};

/// Makes the CPU and the GPU that `gpu` names: "cuda:<ordinal>" or "sim:<profile>".
/// `invalid_argument`: neither of these, an unknown profile, or an unusable ENGRAM_ISA;
/// `unavailable`: no such GPU, or a build without CUDA. `cpu_threads` 0: one for each core.
result<std::unique_ptr<bench_devices>> make_bench_devices(const std::string& gpu,
                                                          std::uint32_t cpu_threads);

/// Returns what `gpu` is called in the pipeline's configuration: "0" for "cuda:0".
std::string pipeline_name(std::string_view gpu);

} // namespace engram::bench
