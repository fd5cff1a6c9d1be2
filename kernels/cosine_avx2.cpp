// AVX2 primitives of cosine.hpp. Needs avx2, fma, f16c. See cosine_variant.hpp for what this file
// may include.

#include "engram/kernels/cosine_variant.hpp"

#include <immintrin.h>

namespace engram {
namespace {

constexpr std::size_t lanes = 8;
constexpr std::size_t partial_sums = 32;
constexpr int parts = partial_sums / lanes;

// -- loading a row of any storage type as float32 --

struct f32_row {
  static constexpr std::size_t size = 4;
  static __m256 load(const std::byte* at) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(at));
  }
};

struct f16_row {
  static constexpr std::size_t size = 2;
  static __m256 load(const std::byte* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }
};

struct bf16_row {
  static constexpr std::size_t size = 2;
  static __m256 load(const std::byte* at) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
};

// -- the canonical dot --

// The tree 16, 8, 4, 2, 1 over 32 partial sums, eight a register.
float add_tree(const __m256 (&sum)[parts]) {
  const __m256 sum8 = _mm256_add_ps(_mm256_add_ps(sum[0], sum[2]), _mm256_add_ps(sum[1], sum[3]));
  const __m128 sum4 = _mm_add_ps(_mm256_castps256_ps128(sum8), _mm256_extractf128_ps(sum8, 1));
  const __m128 sum2 = _mm_add_ps(sum4, _mm_movehl_ps(sum4, sum4));
  return _mm_cvtss_f32(_mm_add_ss(sum2, _mm_movehdup_ps(sum2)));
}

template <class Row, int Queries>
void add_products(const float* const* queries, std::size_t offset, const std::byte* row,
                  __m256 (&sum)[Queries][parts]) {
#pragma GCC unroll 4
  for (int p = 0; p < parts; ++p) {
    const std::size_t at = static_cast<std::size_t>(p) * lanes;
    const __m256 element = Row::load(row + at * Row::size);
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q)
      sum[q][p] = _mm256_fmadd_ps(_mm256_loadu_ps(queries[q] + offset + at), element, sum[q][p]);
  }
}

// One row with `Queries` queries: four sums a query hide half of the FMA's latency, the next row's
// independent work the rest.
template <class Row, int Queries>
void dots_of(const float* const* queries, const std::byte* row, std::size_t dim, float* out) {
  __m256 sum[Queries][parts];
  for (int q = 0; q < Queries; ++q)
    for (int p = 0; p < parts; ++p)
      sum[q][p] = _mm256_setzero_ps();

  std::size_t i = 0;
  for (; i + partial_sums <= dim; i += partial_sums)
    add_products<Row, Queries>(queries, i, row + i * Row::size, sum);
  if (i < dim) {
    // Lanes past the end add 0 * 0, which changes no sum but the sign of a zero.
    alignas(32) float query_tail[Queries][partial_sums] = {};
    alignas(32) std::byte row_tail[partial_sums * Row::size] = {};
    const float* tails[Queries];
    for (int q = 0; q < Queries; ++q) {
      __builtin_memcpy(query_tail[q], queries[q] + i, (dim - i) * sizeof(float));
      tails[q] = query_tail[q];
    }
    __builtin_memcpy(row_tail, row + i * Row::size, (dim - i) * Row::size);
    add_products<Row, Queries>(tails, 0, row_tail, sum);
  }
  for (int q = 0; q < Queries; ++q)
    out[q] = add_tree(sum[q]);
}

template <class Row>
void dots_typed(const float* const* queries, std::size_t query_count, const std::byte* const* rows,
                std::size_t row_count, std::size_t dim, float* out) {
  for (std::size_t r = 0; r < row_count; ++r) {
    std::size_t q = 0;
    for (; q + 2 <= query_count; q += 2)
      dots_of<Row, 2>(queries + q, rows[r], dim, out + r * query_count + q);
    if (q < query_count) dots_of<Row, 1>(queries + q, rows[r], dim, out + r * query_count + q);
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

void add_squares(const float* vector, __m256d (&sum)[8]) {
#pragma GCC unroll 8
  for (std::size_t part = 0; part < 8; ++part) {
    const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(vector + part * 4));
    sum[part] = _mm256_fmadd_pd(x, x, sum[part]);
  }
}

double sum_of_squares(const float* vector, std::size_t dim) noexcept {
  __m256d sum[8];
  for (auto& part : sum)
    part = _mm256_setzero_pd();
  std::size_t i = 0;
  for (; i + partial_sums <= dim; i += partial_sums)
    add_squares(vector + i, sum);
  if (i < dim) {
    alignas(32) float tail[partial_sums] = {};
    __builtin_memcpy(tail, vector + i, (dim - i) * sizeof(float));
    add_squares(tail, sum);
  }
  for (int width = 4; width > 0; width /= 2)
    for (int part = 0; part < width; ++part)
      sum[part] = _mm256_add_pd(sum[part], sum[part + width]);
  const __m128d sum2 = _mm_add_pd(_mm256_castpd256_pd128(sum[0]), _mm256_extractf128_pd(sum[0], 1));
  return _mm_cvtsd_f64(_mm_add_sd(sum2, _mm_unpackhi_pd(sum2, sum2)));
}

template <class Row>
void widen_typed(const std::byte* in, float* out, std::size_t count) {
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes)
    _mm256_storeu_ps(out + i, Row::load(in + i * Row::size));
  if (i == count) return;
  alignas(16) std::byte in_tail[lanes * Row::size] = {};
  alignas(32) float out_tail[lanes];
  __builtin_memcpy(in_tail, in + i * Row::size, (count - i) * Row::size);
  _mm256_store_ps(out_tail, Row::load(in_tail));
  __builtin_memcpy(out + i, out_tail, (count - i) * sizeof(float));
}

void widen(element_type type, const void* in, float* out, std::size_t count) noexcept {
  const auto* bytes = static_cast<const std::byte*>(in);
  if (type == element_type::f16) return widen_typed<f16_row>(bytes, out, count);
  widen_typed<bf16_row>(bytes, out, count);
}

// -- the filter --

// Rows x (Vectors * 8) products in registers; every row element is broadcast, every panel line is
// loaded once for all rows of the tile.
template <int Rows, int Vectors>
std::size_t filter_tile(const filter_block& block, std::size_t first_row, filter_candidate* out) {
  const float* row[Rows];
  for (int r = 0; r < Rows; ++r) {
    // A tile that hangs over the end computes its last row again and drops the copies.
    const std::size_t at = first_row + static_cast<std::size_t>(r);
    row[r] = block.rows + (at < block.row_count ? at : block.row_count - 1) * block.dim;
  }
  __m256 sum[Rows][Vectors];
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v)
      sum[r][v] = _mm256_setzero_ps();

  const float* panel = block.panel;
  for (std::size_t i = 0; i < block.dim; ++i, panel += Vectors * lanes) {
    __m256 query[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v)
      query[v] = _mm256_loadu_ps(panel + static_cast<std::size_t>(v) * lanes);
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const __m256 element = _mm256_broadcast_ss(row[r] + i);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v)
        sum[r][v] = _mm256_fmadd_ps(element, query[v], sum[r][v]);
    }
  }

  std::size_t count = 0;
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    const std::size_t at = first_row + static_cast<std::size_t>(r);
    if (at >= block.row_count) break;
    const __m256 row_scale = _mm256_set1_ps(block.row_scales[at]);
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      const std::size_t lane = static_cast<std::size_t>(v) * lanes;
      const __m256 scale = _mm256_loadu_ps(block.query_scales + lane);
      const __m256 score = _mm256_mul_ps(_mm256_mul_ps(sum[r][v], scale), row_scale);
      const __m256 passed = _mm256_cmp_ps(score, _mm256_loadu_ps(block.cuts + lane), _CMP_GE_OQ);
      auto mask = static_cast<unsigned>(_mm256_movemask_ps(passed));
      if (mask == 0) continue;
      alignas(32) float scores[lanes];
      _mm256_store_ps(scores, score);
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
std::size_t filter_rows(const filter_block& block, filter_candidate* out) {
  std::size_t count = 0;
  for (std::size_t row = 0; row < block.row_count; row += Rows)
    count += filter_tile<Rows, Vectors>(block, row, out + count);
  return count;
}

std::size_t filter(const filter_block& block, std::size_t vectors, filter_candidate* out) noexcept {
  return vectors == 1 ? filter_rows<12, 1>(block, out) : filter_rows<6, 2>(block, out);
}

} // namespace

const cosine_variant cosine_variant_avx2{dots, sum_of_squares, widen, lanes, 2, filter};

} // namespace engram
