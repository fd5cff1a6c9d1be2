#pragma once

// The summation order of kernels/cosine.hpp on a GPU. `Lanes` neighbouring lanes of a warp share a
// row: lane l of them holds the partial sums S l .. S l + S - 1, where S = 32 / Lanes, and so reads
// S neighbouring elements of every 32. Four lanes read 16 or 32 bytes at a time, which streams
// best; sixteen have a row's reads under way at once, which answers soonest.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

inline constexpr unsigned warp_size = 32;
inline constexpr unsigned whole_warp = 0xffffffffu;
inline constexpr unsigned partial_sums = 32;
inline constexpr unsigned quad_lanes = 4;
inline constexpr unsigned rows_of_warp = warp_size / quad_lanes;

/// `Count` neighbouring elements as they lie in memory.
template <class Element, unsigned Count>
struct chunk {
  static constexpr unsigned word_count = Count * sizeof(Element) / 4;
  std::uint32_t words[word_count];
};

/// Reads a chunk that begins at a multiple of its size, or of 16 bytes if it is larger.
template <unsigned Count, class Element>
__device__ chunk<Element, Count> load_chunk(const Element* at) {
  chunk<Element, Count> out;
  constexpr unsigned words = chunk<Element, Count>::word_count;
  if constexpr (words == 1) {
    out.words[0] = __ldg(reinterpret_cast<const std::uint32_t*>(at));
  } else if constexpr (words == 2) {
    const uint2 read = __ldg(reinterpret_cast<const uint2*>(at));
    out.words[0] = read.x, out.words[1] = read.y;
  } else {
#pragma unroll
    for (unsigned w = 0; w < words; w += 4) {
      const uint4 read = __ldg(reinterpret_cast<const uint4*>(at) + w / 4);
      out.words[w] = read.x, out.words[w + 1] = read.y;
      out.words[w + 2] = read.z, out.words[w + 3] = read.w;
    }
  }
  return out;
}

// Widening is exact.
template <unsigned Count>
__device__ void widen(const chunk<float, Count>& in, float (&out)[Count]) {
#pragma unroll
  for (unsigned i = 0; i < Count; ++i)
    out[i] = __uint_as_float(in.words[i]);
}
template <unsigned Count>
__device__ void widen(const chunk<__nv_bfloat16, Count>& in, float (&out)[Count]) {
#pragma unroll
  for (unsigned w = 0; w < Count / 2; ++w) {
    out[2 * w] = __uint_as_float(in.words[w] << 16);
    out[2 * w + 1] = __uint_as_float(in.words[w] & 0xffff0000u);
  }
}
template <unsigned Count>
__device__ void widen(const chunk<__half, Count>& in, float (&out)[Count]) {
#pragma unroll
  for (unsigned w = 0; w < Count / 2; ++w) {
    const float2 pair = __half22float2(reinterpret_cast<const __half2&>(in.words[w]));
    out[2 * w] = pair.x;
    out[2 * w + 1] = pair.y;
  }
}

__device__ inline float add(float a, float b) {
  return __fadd_rn(a, b);
}
__device__ inline double add(double a, double b) {
  return __dadd_rn(a, b);
}

/// Returns, on the first of the row's lanes, the tree of its 32 partial sums. The whole warp calls
/// it.
template <unsigned Lanes, class Sum>
__device__ Sum add_tree(Sum (&sum)[partial_sums / Lanes]) {
  constexpr unsigned held = partial_sums / Lanes;
#pragma unroll
  for (unsigned lanes = Lanes / 2; lanes > 0; lanes /= 2)
#pragma unroll
    for (unsigned i = 0; i < held; ++i)
      sum[i] = add(sum[i], __shfl_down_sync(whole_warp, sum[i], lanes, Lanes));
#pragma unroll
  for (unsigned width = held / 2; width > 0; width /= 2)
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

/// Reads a lane's share of a query, in global or shared memory.
template <unsigned Count>
__device__ void load_query(const float* at, float (&out)[Count]) {
  if constexpr (Count == 2) {
    const float2 read = *reinterpret_cast<const float2*>(at);
    out[0] = read.x, out[1] = read.y;
  } else {
#pragma unroll
    for (unsigned i = 0; i < Count; i += 4) {
      const float4 read = *reinterpret_cast<const float4*>(at + i);
      out[i] = read.x, out[i + 1] = read.y, out[i + 2] = read.z, out[i + 3] = read.w;
    }
  }
}

enum class query_padding : unsigned char {
  to_stride, ///< as the rows are
  to_steps,  ///< with zeros to query_length<Ahead>(stride), which spares a test in every step
};

/// Returns the length of a query that is padded to_steps.
template <unsigned Ahead>
__host__ __device__ constexpr unsigned query_length(unsigned stride) {
  constexpr unsigned step = Ahead * partial_sums;
  return (stride + step - 1) / step * step;
}

/// Returns, on the first of the row's lanes, the dot product of a query and a row padded with zeros
/// to `stride`, a multiple of 8. Has `Ahead` reads of the row under way at once. The whole warp
/// calls it, with a row for every `Lanes` lanes.
template <unsigned Lanes, unsigned Ahead, query_padding Padding, class Element>
__device__ float canonical_dot(const float* query, const Element* row, unsigned stride) {
  constexpr unsigned held = partial_sums / Lanes;
  float sum[held] = {};
  const unsigned first = threadIdx.x % Lanes * held;
  for (unsigned base = first; base < stride; base += Ahead * partial_sums) {
    chunk<Element, held> read[Ahead] = {};
#pragma unroll
    for (unsigned u = 0; u < Ahead; ++u)
      if (base + u * partial_sums < stride)
        read[u] = load_chunk<held>(row + base + u * partial_sums);
#pragma unroll
    for (unsigned u = 0; u < Ahead; ++u) {
      const unsigned at = base + u * partial_sums;
      if (Padding == query_padding::to_stride && at >= stride) break;
      float element[held], factor[held];
      widen(read[u], element);
      load_query(query + at, factor);
#pragma unroll
      for (unsigned i = 0; i < held; ++i)
        sum[i] = __fmaf_rn(factor[i], element[i], sum[i]);
    }
  }
  return add_tree<Lanes>(sum);
}

/// `canonical_dot` with a row for each quad of lanes.
template <class Element>
__device__ float quad_dot(const float* query, const Element* row, unsigned stride) {
  return canonical_dot<quad_lanes, 4, query_padding::to_stride>(query, row, stride);
}

/// Returns, on the first lane of the quad, the inverse norm of a row padded with zeros to `stride`.
/// The whole warp calls it.
template <class Element>
__device__ float quad_inverse_norm(const Element* row, unsigned stride) {
  constexpr unsigned held = partial_sums / quad_lanes;
  double sum[held] = {};
  for (unsigned at = threadIdx.x % quad_lanes * held; at < stride; at += partial_sums) {
    float element[held];
    widen(load_chunk<held>(row + at), element);
#pragma unroll
    for (unsigned i = 0; i < held; ++i)
      sum[i] = __fma_rn(element[i], element[i], sum[i]); // the product is exact
  }
  const double squares = add_tree<quad_lanes>(sum);
  return squares == 0.0 ? 0.0f : static_cast<float>(__ddiv_rn(1.0, __dsqrt_rn(squares)));
}

} // namespace engram::cuda
