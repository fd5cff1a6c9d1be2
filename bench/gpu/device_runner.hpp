#pragma once

#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace engram::bench {

/// When to stop repeating: after `repeats`, or when `seconds` are spent and `least` were taken, or
/// when eight times `seconds` are spent.
struct repeat_limits {
  std::size_t repeats = 500;
  std::size_t least = 5;
  double seconds = 1.0;
};

/// What repeated runs took, in the order they were made.
struct device_samples {
  std::vector<double> wall;     ///< from `run` until `done`
  std::vector<double> transfer; ///< as the device reports
  std::vector<double> kernel;
  std::vector<double> device;
  std::vector<item_output> first_answer; ///< of the first batch
};

/// Runs one batch after the other, round and round, at least one of them unmeasured at first,
/// because devices load code and prepare memory for a new shape. A fault, or no answer within a
/// minute, is `unavailable`.
result<device_samples> measure_device(device& target, std::span<const work_batch_ptr> batches,
                                      const repeat_limits& limits);

} // namespace engram::bench
