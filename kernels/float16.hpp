#pragma once

#include "engram/kernels/rows.hpp"

#include <cstdint>
#include <span>

namespace engram {

/// Returns the float32 of the same value; exact.
float f16_to_f32(std::uint16_t bits) noexcept;
float bf16_to_f32(std::uint16_t bits) noexcept;

/// Returns the nearest float16 or bfloat16 (ties to even); values past the range become infinite.
std::uint16_t f32_to_f16(float value) noexcept;
std::uint16_t f32_to_bf16(float value) noexcept;

/// Widens `in` (of `type`, out.size() elements) to float32.
void widen(element_type type, const void* in, std::span<float> out) noexcept;
/// Rounds `in` to `type` into `out` (in.size() elements).
void narrow(element_type type, std::span<const float> in, void* out) noexcept;

} // namespace engram
