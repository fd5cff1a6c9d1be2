#pragma once

#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"

namespace engram {

/// Runs a batch of each operation that `data` has, and of similarity, so that the first request
/// after a runner took over finds its kernels loaded. Blocks. `unavailable` if the device cannot
/// run them.
result<void> warm_up(device& on, const dataset_ptr& data);

} // namespace engram
