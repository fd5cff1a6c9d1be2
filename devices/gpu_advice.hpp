#pragma once

#include "engram/devices/nvml.hpp"

#include <string>
#include <vector>

namespace engram {

/// What a person might change about a GPU.
struct gpu_advice {
  std::string topic; ///< "temperature", "power_limit", "throttling", "persistence_mode", "clocks",
                     ///< "pcie", "ecc", "mig" or "utilization"
  std::string sentence; ///< what is so, and why that matters
  std::string command;  ///< changes it, or shows more where no command can
};

/// Returns what the tuning guide's steps for the hardware advise about a GPU in this state, the
/// most pressing first. What is absent from the reading is not judged.
std::vector<gpu_advice> advise(const gpu_reading& gpu);

} // namespace engram
