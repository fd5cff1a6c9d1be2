#pragma once

#include "engram/base/ids.hpp"

#include <cstddef>
#include <cstdint>

namespace engram {

/// How the numbers of a vector collection are stored. All arithmetic is in float32 or wider; a
/// float16 or bfloat16 number is widened exactly.
enum class element_type : std::uint8_t { f32, f16, bf16 };

constexpr std::size_t size_of(element_type type) noexcept {
  return type == element_type::f32 ? 4 : 2;
}

/// Resident vectors as the kernels see them: [rows, dim] row-major without gaps, and the inverse
/// Euclidean norm of every row (0 for a zero row). The memory belongs to somebody else.
struct row_view {
  const void* data = nullptr;
  element_type type = element_type::f32;
  std::size_t rows = 0;
  std::size_t dim = 0;
  const float* inverse_norms = nullptr; ///< [rows]

  const std::byte* row(std::size_t r) const noexcept {
    return static_cast<const std::byte*>(data) + r * dim * size_of(type);
  }
};

} // namespace engram
