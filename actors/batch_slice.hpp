#pragma once

#include "engram/devices/work.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace engram {

/// A part of a batch and the outputs of that part. Devices answer each item the same whatever batch
/// it rides in, so the part can be run again by itself.
struct batch_slice {
  work_batch_ptr batch;
  std::vector<item_output> outputs;
};

/// Returns `count` items of `batch`, from item `first` on as its requests bring them, and copies of
/// their `outputs`. Outputs that are too short for what they should answer are cut short, not read
/// past: they may be a broken device's.
batch_slice slice(const work_batch& batch, const std::vector<item_output>& outputs,
                  std::size_t first, std::size_t count);

} // namespace engram
