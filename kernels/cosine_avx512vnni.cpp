// The int8 filter pass of search. Needs avx512f, bw, vl, dq, vnni. See cosine_variant.hpp for what
// this file may include.

#include "engram/kernels/cosine_variant.hpp"

#include <immintrin.h>

namespace engram {
namespace {

constexpr std::size_t lanes = 16;

__mmask16 mask_of(std::size_t left) {
  return static_cast<__mmask16>(left >= lanes ? 0xffffu : (1u << left) - 1u);
}

float largest_magnitude(const float* vector, std::size_t dim) {
  __m512 largest = _mm512_setzero_ps();
  for (std::size_t i = 0; i < dim; i += lanes)
    largest =
        _mm512_max_ps(largest, _mm512_abs_ps(_mm512_maskz_loadu_ps(mask_of(dim - i), vector + i)));
  return _mm512_reduce_max_ps(largest);
}

void encode(const float* vectors, std::size_t count, std::size_t dim, std::uint8_t* out,
            std::size_t stride, float* scales, float* residuals) noexcept {
  for (std::size_t v = 0; v < count; ++v) {
    const float* vector = vectors + v * dim;
    const float largest = largest_magnitude(vector, dim);
    const float scale = largest / 127.0f;
    const __m512 to_code = _mm512_set1_ps(largest == 0.0f ? 0.0f : 127.0f / largest);
    __m512 sum = _mm512_setzero_ps();
    for (std::size_t i = 0; i < stride; i += lanes) {
      const __m512 x = _mm512_maskz_loadu_ps(i < dim ? mask_of(dim - i) : __mmask16{0}, vector + i);
      const __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(x, to_code));
      const __m512 residual = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(code), _mm512_set1_ps(scale), x);
      sum = _mm512_fmadd_ps(residual, residual, sum);
      const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(code, _mm512_set1_epi32(128)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + v * stride + i), bytes);
    }
    scales[v] = scale;
    residuals[v] = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(_mm512_reduce_add_ps(sum))));
  }
}

// As filter_tile in cosine_avx512.cpp, four elements a step.
template <int Rows, int Vectors>
std::size_t filter_tile(const byte_block& block, std::size_t first_row, filter_candidate* out) {
  const std::uint8_t* row[Rows];
  for (int r = 0; r < Rows; ++r) {
    // A tile that hangs over the end computes its last row again and drops the copies.
    const std::size_t at = first_row + static_cast<std::size_t>(r);
    row[r] = block.rows + (at < block.row_count ? at : block.row_count - 1) * block.stride;
  }
  __m512i sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = _mm512_loadu_si512(block.biases + static_cast<std::size_t>(v) * lanes);

  const std::uint32_t* panel = block.panel;
  for (std::size_t i = 0; i < block.words; ++i, panel += Vectors * lanes) {
    __m512i query[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v)
      query[v] = _mm512_loadu_si512(panel + static_cast<std::size_t>(v) * lanes);
#pragma GCC unroll 24
    for (int r = 0; r < Rows; ++r) {
      std::int32_t word;
      __builtin_memcpy(&word, row[r] + i * sizeof word, sizeof word);
      const __m512i codes = _mm512_set1_epi32(word);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v)
        sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], codes, query[v]);
    }
  }

  std::size_t count = 0;
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r) {
    const std::size_t at = first_row + static_cast<std::size_t>(r);
    if (at >= block.row_count) break;
    const __m512 row_scale = _mm512_set1_ps(block.row_scales[at]);
    const __m512 row_residual = _mm512_set1_ps(block.row_residuals[at]);
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      const std::size_t lane = static_cast<std::size_t>(v) * lanes;
      const __m512 scale = _mm512_loadu_ps(block.query_scales + lane);
      const __m512 score =
          _mm512_mul_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sum[r][v]), scale), row_scale);
      const __m512 cut = _mm512_fnmadd_ps(_mm512_loadu_ps(block.slopes + lane), row_residual,
                                          _mm512_loadu_ps(block.cuts + lane));
      unsigned mask = _mm512_cmp_ps_mask(score, cut, _CMP_GE_OQ);
      if (mask == 0) continue;
      alignas(64) float scores[lanes];
      _mm512_store_ps(scores, score);
      for (; mask != 0; mask &= mask - 1) {
        const auto bit = static_cast<std::uint32_t>(__builtin_ctz(mask));
        out[count++] = {static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(lane) + bit,
                        scores[bit]};
      }
    }
  }
  return count;
}

template <int Rows, int Vectors>
std::size_t filter_rows(const byte_block& block, filter_candidate* out) {
  std::size_t count = 0;
  for (std::size_t row = 0; row < block.row_count; row += Rows)
    count += filter_tile<Rows, Vectors>(block, row, out + count);
  return count;
}

std::size_t filter(const byte_block& block, std::size_t vectors, filter_candidate* out) noexcept {
  return vectors == 1 ? filter_rows<24, 1>(block, out) : filter_rows<12, 2>(block, out);
}

} // namespace

const byte_filter byte_filter_avx512vnni{encode, filter};

} // namespace engram
