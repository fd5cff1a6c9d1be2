#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"

#include <memory>
#include <string>
#include <vector>

namespace engram {

struct made_devices {
  std::vector<std::unique_ptr<device>> devices; ///< the CPU, then the GPUs
  std::vector<std::string> left_out;            ///< why a GPU that "auto" found is not among them
};

/// Makes the CPU and the GPUs that `options` names, in that order; "auto" stands for every GPU that
/// CUDA finds, none in a build without it. `invalid_argument` for an unknown profile or an unusable
/// ENGRAM_ISA; `unavailable` for a GPU that is named and cannot be used.
result<made_devices> make_devices(const pipeline_options& options, fault_points& faults);

} // namespace engram
