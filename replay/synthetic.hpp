#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/replay/scenario.hpp"

#include <variant>

namespace engram::replay {

/// Returns the data that a [[dataset]] describes; the same for the same seed. Vectors point in
/// random directions; a graph's edges lead to random other nodes with weights in [-0.25, 1].
result<std::variant<collection_ptr, graph_ptr>> make_dataset(const synthetic_dataset& what);

} // namespace engram::replay
