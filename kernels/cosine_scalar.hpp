#pragma once

/// The scalar reference behind cosine.hpp (cosine_scalar.cpp). Private to kernels/.

#include "engram/kernels/cosine.hpp"

namespace engram {

extern const cosine_kernels cosine_kernels_scalar;

/// `inverse_norm` as the contract spells it out.
float inverse_norm_scalar(std::span<const float> vector) noexcept;

} // namespace engram
