#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace engram::cuda {

/// Enqueues rounding rows [count, stride] of float32 to bfloat16 in `out` and raising `*residual`
/// to the greatest |row - rounded row| / |row| (rounded up a little). Device memory; `*residual`
/// starts at 0; inverse_norms [count].
cudaError_t narrow_rows(const float* rows, const float* inverse_norms, std::size_t count,
                        std::size_t stride, void* out, float* residual,
                        cudaStream_t stream) noexcept;

} // namespace engram::cuda
