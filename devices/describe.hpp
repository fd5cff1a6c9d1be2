#pragma once

#include "engram/datasets/dataset.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace engram {

/// Names a dataset in a sentence: "docs" version 3.
inline std::string describe(const dataset& data) {
  return '"' + data.name + "\" version " + std::to_string(data.version);
}

/// Says that `what` does not fit into what is free of `total` bytes on a device.
inline std::string no_room(const std::string& device, const std::string& what, std::uint64_t needed,
                           std::uint64_t free, std::uint64_t total) {
  free = std::min(needed, free);
  return device + " has no room for " + what + ": it needs " + std::to_string(needed) + " bytes, " +
         std::to_string(free) + " of " + std::to_string(total) + " are free, " +
         std::to_string(needed - free) +
         " are missing; drop a dataset or raise gpu.vram_safety_margin";
}

} // namespace engram
