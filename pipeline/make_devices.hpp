#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"

#include <memory>
#include <vector>

namespace engram {

/// Returns the CPU and the GPUs that `options` names, in that order. `invalid_argument` for an
/// unknown profile or an unusable ENGRAM_ISA; `unavailable` for a GPU that is named and not there.
result<std::vector<std::unique_ptr<device>>> make_devices(const pipeline_options& options,
                                                          fault_points& faults);

} // namespace engram
