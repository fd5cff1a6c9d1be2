#pragma once

#include "engram/kernels/rows.hpp"

#include <cstddef>

namespace engram::cuda {

/// Returns `dim` rounded up so that every row begins at a 16-byte boundary, whatever its type.
constexpr std::size_t row_stride(std::size_t dim) noexcept {
  return (dim + 7) / 8 * 8;
}

/// Resident vectors in device memory: [rows, stride] of `type`, zeros past `dim`, and the inverse
/// norms [rows]. `narrow` is what tensor cores multiply: the rows themselves where they are stored
/// in 16 bits, else a bfloat16 copy of the same shape, whose rounding moved no row by more than
/// `narrow_residual` of its length.
struct device_rows {
  const void* data = nullptr;
  element_type type = element_type::f32;
  std::size_t rows = 0;
  std::size_t dim = 0;
  const float* inverse_norms = nullptr;
  const void* narrow = nullptr;
  element_type narrow_type = element_type::bf16;
  float narrow_residual = 0.0f;

  std::size_t stride() const noexcept { return row_stride(dim); }
};

} // namespace engram::cuda
