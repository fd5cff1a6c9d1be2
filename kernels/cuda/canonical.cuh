#pragma once

// The summation order of kernels/cosine.hpp on a GPU. Four lanes of a warp, a quad, share a row:
// lane l of the quad holds the partial sums 8l .. 8l + 7, and so reads 8 neighbouring elements of
// every 32.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;
inline constexpr unsigned quad_lanes = 4;
inline constexpr unsigned rows_of_warp = warp_size / quad_lanes;
inline constexpr unsigned partial_sums = 32;
inline constexpr unsigned lane_sums = partial_sums / quad_lanes;

/// Eight neighbouring elements as they lie in memory, 16-byte aligned.
template <class Element>
struct octet {
  uint4 words;
};
template <>
struct octet<float> {
  float4 low, high;
};

__device__ inline octet<float> load_octet(const float* at) {
  const auto* pieces = reinterpret_cast<const float4*>(at);
  return {__ldg(pieces), __ldg(pieces + 1)};
}
template <class Element>
__device__ inline octet<Element> load_octet(const Element* at) {
  return {__ldg(reinterpret_cast<const uint4*>(at))};
}

// Widening is exact.
__device__ inline void widen(const octet<float>& in, float (&out)[lane_sums]) {
  out[0] = in.low.x, out[1] = in.low.y, out[2] = in.low.z, out[3] = in.low.w;
  out[4] = in.high.x, out[5] = in.high.y, out[6] = in.high.z, out[7] = in.high.w;
}
__device__ inline void widen(const octet<__nv_bfloat16>& in, float (&out)[lane_sums]) {
  const std::uint32_t words[] = {in.words.x, in.words.y, in.words.z, in.words.w};
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
    out[2 * i] = __uint_as_float(words[i] << 16);
    out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
  }
}
__device__ inline void widen(const octet<__half>& in, float (&out)[lane_sums]) {
  const std::uint32_t words[] = {in.words.x, in.words.y, in.words.z, in.words.w};
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
    const float2 pair = __half22float2(reinterpret_cast<const __half2&>(words[i]));
    out[2 * i] = pair.x;
    out[2 * i + 1] = pair.y;
  }
}

__device__ inline float add(float a, float b) {
  return __fadd_rn(a, b);
}
__device__ inline double add(double a, double b) {
  return __dadd_rn(a, b);
}

/// Returns, on lane 0 of the quad, the tree of its 32 partial sums. The whole warp calls it.
template <class Sum>
__device__ Sum quad_tree(Sum (&sum)[lane_sums]) {
#pragma unroll
  for (unsigned lanes = quad_lanes / 2; lanes > 0; lanes /= 2)
#pragma unroll
    for (unsigned i = 0; i < lane_sums; ++i)
      sum[i] = add(sum[i], __shfl_down_sync(whole_warp, sum[i], lanes, quad_lanes));
#pragma unroll
  for (unsigned width = lane_sums / 2; width > 0; width /= 2)
#pragma unroll
    for (unsigned i = 0; i < width; ++i)
      sum[i] = add(sum[i], sum[i + width]);
  return sum[0];
}

/// Returns the score of a pair from its dot product and inverse norms; never -0.
__device__ inline float canonical_score(float dot, float inverse_norm_q, float inverse_norm_t) {
  const float score = __fmul_rn(__fmul_rn(dot, inverse_norm_q), inverse_norm_t);
  return __fadd_rn(fminf(fmaxf(score, -1.0f), 1.0f), 0.0f);
}

/// Returns, on lane 0 of the quad, the dot product of a row and a query, both padded with zeros to
/// `stride`, a multiple of 8. The whole warp calls it, every quad with a row of its own.
template <class Element>
__device__ float quad_dot(const float* query, const Element* row, unsigned stride) {
  constexpr unsigned in_flight = 4;
  float sum[lane_sums] = {};
  const unsigned first = threadIdx.x % quad_lanes * lane_sums;
  for (unsigned base = first; base < stride; base += in_flight * partial_sums) {
    octet<Element> read[in_flight];
#pragma unroll
    for (unsigned u = 0; u < in_flight; ++u)
      if (base + u * partial_sums < stride) read[u] = load_octet(row + base + u * partial_sums);
#pragma unroll
    for (unsigned u = 0; u < in_flight; ++u) {
      const unsigned at = base + u * partial_sums;
      if (at >= stride) break;
      float element[lane_sums], factor[lane_sums];
      widen(read[u], element);
      widen(load_octet(query + at), factor);
#pragma unroll
      for (unsigned i = 0; i < lane_sums; ++i)
        sum[i] = __fmaf_rn(factor[i], element[i], sum[i]);
    }
  }
  return quad_tree(sum);
}

/// Returns, on lane 0 of the quad, the inverse norm of a row padded with zeros to `stride`. The
/// whole warp calls it.
template <class Element>
__device__ float quad_inverse_norm(const Element* row, unsigned stride) {
  double sum[lane_sums] = {};
  for (unsigned at = threadIdx.x % quad_lanes * lane_sums; at < stride; at += partial_sums) {
    float element[lane_sums];
    widen(load_octet(row + at), element);
#pragma unroll
    for (unsigned i = 0; i < lane_sums; ++i)
      sum[i] = __fma_rn(element[i], element[i], sum[i]); // the product is exact
  }
  const double squares = quad_tree(sum);
  return squares == 0.0 ? 0.0f : static_cast<float>(__ddiv_rn(1.0, __dsqrt_rn(squares)));
}

} // namespace engram::cuda
