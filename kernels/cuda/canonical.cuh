#pragma once

// The summation order of kernels/cosine.hpp on a GPU: the 32 partial sums are the lanes of a warp.

#include <cstddef>

namespace engram::cuda {

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;

/// Returns, on lane 0, the dot product of `a` and `b` [dim], to the bit as the CPU variants do.
/// Every lane of the warp calls it.
__device__ inline float canonical_dot(const float* a, const float* b, std::size_t dim) {
  float sum = 0.0f;
  for (std::size_t i = threadIdx.x % warp_size; i < dim; i += warp_size)
    sum = __fmaf_rn(a[i], b[i], sum);
  for (unsigned width = warp_size / 2; width > 0; width /= 2)
    sum = __fadd_rn(sum, __shfl_down_sync(whole_warp, sum, width));
  return sum;
}

/// Returns the score of a pair from its dot product and inverse norms; never -0.
__device__ inline float canonical_score(float dot, float inverse_norm_q, float inverse_norm_t) {
  const float score = __fmul_rn(__fmul_rn(dot, inverse_norm_q), inverse_norm_t);
  return __fadd_rn(fminf(fmaxf(score, -1.0f), 1.0f), 0.0f);
}

} // namespace engram::cuda
