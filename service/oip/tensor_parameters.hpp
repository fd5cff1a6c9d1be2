#pragma once

#include "engram/base/error.hpp"
#include "engram/service/oip/inference.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace engram {

/// What the parameters of a tensor or of a request say, whichever door they came through. Each
/// returns nothing for what is not there, and `invalid_argument` with the parameter's name for a
/// value of the wrong kind.

/// Returns a size or an offset.
result<std::optional<std::uint64_t>> bytes_parameter(const infer_parameters& from,
                                                     std::string_view name);
/// Returns a choice.
result<std::optional<bool>> truth_parameter(const infer_parameters& from, std::string_view name);
/// Returns the part of shared memory that a tensor is said to lie in.
result<std::optional<region_slice>> region_of(const infer_parameters& from);

} // namespace engram
