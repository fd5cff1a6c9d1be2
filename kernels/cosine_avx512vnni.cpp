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

void encode(const float* vectors, std::size_t count, std::size_t dim, std::uint32_t* out,
            std::size_t stride, float* scales, float* residuals) noexcept {
  for (std::size_t v = 0; v < count; ++v) {
    const float* vector = vectors + v * dim;
    const float largest = largest_magnitude(vector, dim);
    const float scale = largest / 127.0f;
    const __m512 to_code = _mm512_set1_ps(largest == 0.0f ? 0.0f : 127.0f / largest);
    __m512 sum = _mm512_setzero_ps();
    for (std::size_t i = 0; i < 4 * stride; i += lanes) {
      const __m512 x = _mm512_maskz_loadu_ps(i < dim ? mask_of(dim - i) : __mmask16{0}, vector + i);
      const __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(x, to_code));
      const __m512 residual = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(code), _mm512_set1_ps(scale), x);
      sum = _mm512_fmadd_ps(residual, residual, sum);
      const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(code, _mm512_set1_epi32(128)));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + v * stride + i / 4), bytes);
    }
    scales[v] = scale;
    residuals[v] = _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(_mm512_reduce_add_ps(sum))));
  }
}

// Writes the pairs of a tile whose score reaches its cut.
template <int Rows, int Vectors>
std::size_t select(const byte_block& block, std::size_t first_row,
                   const float (&dots)[Rows][Vectors * lanes], filter_candidate* out) {
  std::size_t count = 0;
  for (int r = 0; r < Rows; ++r) {
    const std::size_t row = first_row + static_cast<std::size_t>(r);
    const __m512 row_scale = _mm512_set1_ps(block.row_scales[row]);
    const __m512 row_residual = _mm512_set1_ps(block.row_residuals[row]);
    for (std::size_t lane = 0; lane < Vectors * lanes; lane += lanes) {
      const __m512 query_scale = _mm512_loadu_ps(block.query_scales + lane);
      const __m512 score =
          _mm512_mul_ps(_mm512_mul_ps(_mm512_load_ps(dots[r] + lane), query_scale), row_scale);
      const __m512 cut = _mm512_fnmadd_ps(_mm512_loadu_ps(block.slopes + lane), row_residual,
                                          _mm512_loadu_ps(block.cuts + lane));
      unsigned mask = _mm512_cmp_ps_mask(score, cut, _CMP_GE_OQ);
      if (mask == 0) continue;
      alignas(64) float scores[lanes];
      _mm512_store_ps(scores, score);
      for (; mask != 0; mask &= mask - 1) {
        const auto bit = static_cast<std::uint32_t>(__builtin_ctz(mask));
        out[count++] = {static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(lane) + bit,
                        scores[bit]};
      }
    }
  }
  return count;
}

// As filter_tile in cosine_avx512.cpp, four elements a step.
template <int Rows, int Vectors>
std::size_t filter_tile(const byte_block& block, std::size_t first_row, filter_candidate* out) {
  __m512i sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = _mm512_setzero_si512();

  const std::size_t stride = block.stride;
  const std::uint32_t* element = block.rows + first_row * stride;
  const std::uint32_t* panel = block.panel;
  for (std::size_t i = 0; i < block.words; ++i, ++element, panel += Vectors * lanes) {
    __m512i query[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      query[v] = _mm512_loadu_si512(panel + static_cast<std::size_t>(v) * lanes);
#pragma GCC unroll 24
    for (int r = 0; r < Rows; ++r) {
      const __m512i codes =
          _mm512_set1_epi32(static_cast<int>(element[static_cast<std::size_t>(r) * stride]));
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v)
        sum[r][v] = _mm512_dpbusd_epi32(sum[r][v], codes, query[v]);
    }
  }

  alignas(64) float dots[Rows][Vectors * lanes];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const std::size_t lane = static_cast<std::size_t>(v) * lanes;
      const __m512i dot = _mm512_add_epi32(sum[r][v], _mm512_loadu_si512(block.biases + lane));
      _mm512_store_ps(dots[r] + lane, _mm512_cvtepi32_ps(dot));
    }
  return select<Rows, Vectors>(block, first_row, dots, out);
}

template <int Rows, int Vectors>
std::size_t filter_tiles(const byte_block& block, std::size_t& row, filter_candidate* out) {
  std::size_t count = 0;
  for (; row + Rows <= block.row_count; row += Rows)
    count += filter_tile<Rows, Vectors>(block, row, out + count);
  return count;
}

// 24 registers of sums, and smaller tiles for the rows that are left.
template <int Vectors>
std::size_t filter_rows(const byte_block& block, filter_candidate* out) {
  std::size_t row = 0;
  std::size_t count = filter_tiles<24 / Vectors, Vectors>(block, row, out);
  count += filter_tiles<4, Vectors>(block, row, out + count);
  return count + filter_tiles<1, Vectors>(block, row, out + count);
}

std::size_t filter(const byte_block& block, std::size_t vectors, filter_candidate* out) noexcept {
  switch (vectors) {
  case 1:
    return filter_rows<1>(block, out);
  case 2:
    return filter_rows<2>(block, out);
  case 3:
    return filter_rows<3>(block, out);
  default:
    return filter_rows<4>(block, out);
  }
}

} // namespace

const byte_filter byte_filter_avx512vnni{encode, filter};

} // namespace engram
