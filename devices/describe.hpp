#pragma once

#include "engram/datasets/dataset.hpp"

#include <string>

namespace engram {

/// Names a dataset in a sentence: "docs" version 3.
inline std::string describe(const dataset& data) {
  return '"' + data.name + "\" version " + std::to_string(data.version);
}

} // namespace engram
