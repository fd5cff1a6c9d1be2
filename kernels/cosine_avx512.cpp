// AVX-512 primitives of cosine.hpp. Needs avx512f, bw, vl, dq. See cosine_variant.hpp for what this
// file may include.

#include "engram/kernels/cosine_variant.hpp"

#include <immintrin.h>

namespace engram {
namespace {

constexpr std::size_t lanes = 16;

// -- loading a row of any storage type as float32 --

struct f32_row {
  static constexpr std::size_t size = 4;
  static __m512 load(const std::byte* at) { return _mm512_loadu_ps(at); }
  static __m512 load(const std::byte* at, __mmask16 mask) {
    return _mm512_maskz_loadu_ps(mask, at);
  }
};

struct f16_row {
  static constexpr std::size_t size = 2;
  static __m512 load(const std::byte* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static __m512 load(const std::byte* at, __mmask16 mask) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, at));
  }
};

struct bf16_row {
  static constexpr std::size_t size = 2;
  static __m512 widened(__m256i bits) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static __m512 load(const std::byte* at) {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }
  static __m512 load(const std::byte* at, __mmask16 mask) {
    return widened(_mm256_maskz_loadu_epi16(mask, at));
  }
};

// The lanes of a register that the last `left` elements fill.
__mmask16 mask_of(std::size_t left) {
  return static_cast<__mmask16>(left >= lanes ? 0xffffu : (1u << left) - 1u);
}

// -- the canonical dot --

// The tree 16, 8, 4, 2, 1 over 32 partial sums: lanes 0..15 in `low`, 16..31 in `high`.
float add_tree(__m512 low, __m512 high) {
  const __m512 sum16 = _mm512_add_ps(low, high);
  const __m256 sum8 =
      _mm256_add_ps(_mm512_castps512_ps256(sum16), _mm512_extractf32x8_ps(sum16, 1));
  const __m128 sum4 = _mm_add_ps(_mm256_castps256_ps128(sum8), _mm256_extractf128_ps(sum8, 1));
  const __m128 sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));
  return _mm_cvtss_f32(_mm_add_ss(sum2, _mm_movehdup_ps(sum2)));
}

// One row with `Queries` queries. One row at a time reads memory as one stream, which the processor
// prefetches best; the next row's independent work hides the latency of the FMA.
template <class Row, int Queries>
void dots_of(const float* const* queries, const std::byte* row, std::size_t dim, float* out) {
  __m512 low[Queries];
  __m512 high[Queries];
  for (int q = 0; q < Queries; ++q)
    low[q] = high[q] = _mm512_setzero_ps();

  std::size_t i = 0;
  for (; i + 2 * lanes <= dim; i += 2 * lanes) {
    const __m512 row_low = Row::load(row + i * Row::size);
    const __m512 row_high = Row::load(row + (i + lanes) * Row::size);
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q) {
      low[q] = _mm512_fmadd_ps(_mm512_loadu_ps(queries[q] + i), row_low, low[q]);
      high[q] = _mm512_fmadd_ps(_mm512_loadu_ps(queries[q] + i + lanes), row_high, high[q]);
    }
  }
  if (i < dim) {
    // Lanes past the end add 0 * 0, which changes no sum but the sign of a zero.
    const __mmask16 mask_low = mask_of(dim - i);
    const __mmask16 mask_high = mask_of(dim - i > lanes ? dim - i - lanes : 0);
    const __m512 row_low = Row::load(row + i * Row::size, mask_low);
    const __m512 row_high = Row::load(row + (i + lanes) * Row::size, mask_high);
    for (int q = 0; q < Queries; ++q) {
      const __m512 query_low = _mm512_maskz_loadu_ps(mask_low, queries[q] + i);
      const __m512 query_high = _mm512_maskz_loadu_ps(mask_high, queries[q] + i + lanes);
      low[q] = _mm512_fmadd_ps(query_low, row_low, low[q]);
      high[q] = _mm512_fmadd_ps(query_high, row_high, high[q]);
    }
  }
  for (int q = 0; q < Queries; ++q)
    out[q] = add_tree(low[q], high[q]);
}

template <class Row>
void dots_typed(const float* const* queries, std::size_t query_count, const std::byte* const* rows,
                std::size_t row_count, std::size_t dim, float* out) {
  for (std::size_t r = 0; r < row_count; ++r) {
    float* row_out = out + r * query_count;
    std::size_t q = 0;
    for (; q + 4 <= query_count; q += 4)
      dots_of<Row, 4>(queries + q, rows[r], dim, row_out + q);
    for (; q + 2 <= query_count; q += 2)
      dots_of<Row, 2>(queries + q, rows[r], dim, row_out + q);
    if (q < query_count) dots_of<Row, 1>(queries + q, rows[r], dim, row_out + q);
  }
}

void dots(const float* const* queries, std::size_t query_count, const void* const* rows,
          std::size_t row_count, element_type type, std::size_t dim, float* out) noexcept {
  const auto* bytes = reinterpret_cast<const std::byte* const*>(rows);
  switch (type) {
  case element_type::f32:
    return dots_typed<f32_row>(queries, query_count, bytes, row_count, dim, out);
  case element_type::f16:
    return dots_typed<f16_row>(queries, query_count, bytes, row_count, dim, out);
  case element_type::bf16:
    return dots_typed<bf16_row>(queries, query_count, bytes, row_count, dim, out);
  }
}

// -- norms and widening --

double sum_of_squares(const float* vector, std::size_t dim) noexcept {
  __m512d sum[4] = {_mm512_setzero_pd(), _mm512_setzero_pd(), _mm512_setzero_pd(),
                    _mm512_setzero_pd()};
  for (std::size_t i = 0; i < dim; i += 32) {
#pragma GCC unroll 4
    for (std::size_t part = 0; part < 4; ++part) {
      const std::size_t at = i + part * 8;
      const std::size_t left = dim > at ? dim - at : 0;
      const auto mask = static_cast<__mmask8>(left >= 8 ? 0xffu : (1u << left) - 1u);
      const __m512d x = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, vector + at));
      sum[part] = _mm512_fmadd_pd(x, x, sum[part]);
    }
  }
  const __m512d sum8 = _mm512_add_pd(_mm512_add_pd(sum[0], sum[2]), _mm512_add_pd(sum[1], sum[3]));
  const __m256d sum4 = _mm256_add_pd(_mm512_castpd512_pd256(sum8), _mm512_extractf64x4_pd(sum8, 1));
  const __m128d sum2 = _mm_add_pd(_mm256_castpd256_pd128(sum4), _mm256_extractf128_pd(sum4, 1));
  return _mm_cvtsd_f64(_mm_add_sd(sum2, _mm_unpackhi_pd(sum2, sum2)));
}

template <class Row>
void widen_typed(const std::byte* in, float* out, std::size_t count) {
  for (std::size_t i = 0; i < count; i += lanes) {
    const __mmask16 mask = mask_of(count - i);
    _mm512_mask_storeu_ps(out + i, mask, Row::load(in + i * Row::size, mask));
  }
}

void widen(element_type type, const void* in, float* out, std::size_t count) noexcept {
  const auto* bytes = static_cast<const std::byte*>(in);
  if (type == element_type::f16) return widen_typed<f16_row>(bytes, out, count);
  widen_typed<bf16_row>(bytes, out, count);
}

// -- the filter --

// Writes the pairs of a tile whose score reaches its cut.
template <int Rows, int Vectors>
std::size_t select(const filter_block& block, std::size_t first_row,
                   const float (&dots)[Rows][Vectors * lanes], filter_candidate* out) {
  std::size_t count = 0;
  for (int r = 0; r < Rows; ++r) {
    const std::size_t row = first_row + static_cast<std::size_t>(r);
    const __m512 row_scale = _mm512_set1_ps(block.row_scales[row]);
    for (std::size_t lane = 0; lane < Vectors * lanes; lane += lanes) {
      const __m512 query_scale = _mm512_loadu_ps(block.query_scales + lane);
      const __m512 score =
          _mm512_mul_ps(_mm512_mul_ps(_mm512_load_ps(dots[r] + lane), query_scale), row_scale);
      unsigned mask = _mm512_cmp_ps_mask(score, _mm512_loadu_ps(block.cuts + lane), _CMP_GE_OQ);
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

// Rows x (Vectors * 16) products in registers; every row element is broadcast, every panel line is
// loaded once for all rows of the tile.
template <int Rows, int Vectors>
std::size_t filter_tile(const filter_block& block, std::size_t first_row, filter_candidate* out) {
  __m512 sum[Rows][Vectors];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = _mm512_setzero_ps();

  const std::size_t stride = block.dim;
  const float* element = block.rows + first_row * stride;
  const float* panel = block.panel;
  for (std::size_t i = 0; i < block.dim; ++i, ++element, panel += Vectors * lanes) {
    __m512 query[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      query[v] = _mm512_loadu_ps(panel + static_cast<std::size_t>(v) * lanes);
#pragma GCC unroll 24
    for (int r = 0; r < Rows; ++r) {
      const __m512 x = _mm512_set1_ps(element[static_cast<std::size_t>(r) * stride]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v)
        sum[r][v] = _mm512_fmadd_ps(x, query[v], sum[r][v]);
    }
  }

  alignas(64) float dots[Rows][Vectors * lanes];
#pragma GCC unroll 24
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v)
      _mm512_store_ps(dots[r] + static_cast<std::size_t>(v) * lanes, sum[r][v]);
  return select<Rows, Vectors>(block, first_row, dots, out);
}

template <int Rows, int Vectors>
std::size_t filter_tiles(const filter_block& block, std::size_t& row, filter_candidate* out) {
  std::size_t count = 0;
  for (; row + Rows <= block.row_count; row += Rows)
    count += filter_tile<Rows, Vectors>(block, row, out + count);
  return count;
}

// 24 registers of sums, and smaller tiles for the rows that are left.
template <int Vectors>
std::size_t filter_rows(const filter_block& block, filter_candidate* out) {
  std::size_t row = 0;
  std::size_t count = filter_tiles<24 / Vectors, Vectors>(block, row, out);
  count += filter_tiles<4, Vectors>(block, row, out + count);
  return count + filter_tiles<1, Vectors>(block, row, out + count);
}

std::size_t filter(const filter_block& block, std::size_t vectors, filter_candidate* out) noexcept {
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

const cosine_variant cosine_variant_avx512{dots, sum_of_squares, widen, lanes, 4, filter};

} // namespace engram
