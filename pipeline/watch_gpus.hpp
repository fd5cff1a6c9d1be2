#pragma once

#include "engram/actors/core.hpp"
#include "engram/devices/gpu_sampler.hpp"

#include <memory>
#include <vector>

namespace engram {

/// Returns the real GPUs among `devices`, "gpu0" as "0"; none if none says where it is.
std::vector<watched_gpu> gpus_to_watch(const std::vector<device_info>& devices);

/// Starts to ask NVML about the real GPUs of `core`, about all that it shows if there are none.
/// Null where nobody may or will ask: without GPUs (gpu.enabled) or without metrics
/// (gpu.telemetry.telemetry_enabled). `core` must outlive what is returned.
std::unique_ptr<gpu_sampler> watch_gpus(const pipeline_core& core);

} // namespace engram
