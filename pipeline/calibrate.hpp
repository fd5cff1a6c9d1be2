#pragma once

#include "engram/actors/core.hpp"

namespace engram {

/// Seeds the cost model: runs a few small batches of each operation that `data` allows (null:
/// similarity) on every device that holds it, from this thread. Takes a few tens of milliseconds on
/// most datasets; a device that does not answer within a second is left to learn from traffic.
void calibrate(pipeline_core& core, const dataset_ptr& data);

} // namespace engram
