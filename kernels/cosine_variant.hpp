#pragma once

/// What an instruction set contributes to cosine.hpp, and the functions built from it. Private to
/// kernels/.
///
/// The files compiled with special flags (cosine_avx*.cpp) include only this header and
/// <immintrin.h>, and it declares only plain structs and pointers: an inline function of the
/// standard library compiled there could be the copy that the linker keeps for the whole program,
/// and would then crash on a processor without those instructions.

#include "engram/kernels/rows.hpp"

#include <cstddef>
#include <cstdint>

namespace engram {

/// A block of rows against a panel of queries, for the fast filter pass.
struct filter_block {
  const float* rows;       ///< [row_count, dim]
  const float* row_scales; ///< [row_count] inverse norms
  std::size_t row_count;   ///< at least 1
  std::size_t dim;
  const float* panel;        ///< [dim, lanes]: element d of every query side by side
  const float* query_scales; ///< [lanes] inverse norms
  const float* cuts;         ///< [lanes] scores below it are dropped
};

/// A pair that passed the filter: positions in the block, and its score by the fast pass.
struct filter_candidate {
  std::uint32_t row;
  std::uint32_t lane;
  float score;
};

/// The primitives of one instruction set.
struct cosine_variant {
  /// out[r * query_count + q] = the dot of queries[q] and rows[r], by the contract of cosine.hpp
  /// but for the sign of a zero. queries[q] [dim] float32, rows[r] [dim] of `type`.
  void (*dots)(const float* const* queries, std::size_t query_count, const void* const* rows,
               std::size_t row_count, element_type type, std::size_t dim, float* out) noexcept;

  /// Returns the sum of squares by the contract of cosine.hpp (inverse norm).
  double (*sum_of_squares)(const float* vector, std::size_t dim) noexcept;

  /// Widens `count` elements of `type` (f16 or bf16) to float32.
  void (*widen)(element_type type, const void* in, float* out, std::size_t count) noexcept;

  std::size_t lanes_per_vector;  ///< float32 lanes of a register
  std::size_t vectors_per_panel; ///< widest panel that `filter` takes, in registers

  /// Writes every pair of the block whose score reaches its query's cut, in float32 with the sum
  /// over dim in any order. The panel is `vectors` registers wide. `out` has room for all pairs.
  /// Returns how many were written.
  std::size_t (*filter)(const filter_block& block, std::size_t vectors,
                        filter_candidate* out) noexcept;
};

/// A block of rows against a panel of queries, both as int8 codes: vector = scale * code +
/// residual.
struct byte_block {
  const std::uint32_t* rows;  ///< [row_count, stride] code + 128, four a word
  std::size_t stride;         ///< words from row to row
  const float* row_scales;    ///< [row_count] scale * inverse norm
  const float* row_residuals; ///< [row_count] bound on |residual| / |row|
  std::size_t row_count;      ///< at least 1
  std::size_t words;          ///< dim / 4, rounded up
  const std::uint32_t* panel; ///< [words, lanes]: four codes of every query side by side
  const std::int32_t* biases; ///< [lanes] -128 * the sum of a query's codes
  const float* query_scales;  ///< [lanes] scale * inverse norm
  const float* cuts;          ///< [lanes] cut for a row without residual
  const float* slopes;        ///< [lanes] how much a row's residual lowers the cut
};

/// A filter pass over int8 codes: four times the float32 rate, with a wider error bound.
struct byte_filter {
  /// Codes `count` contiguous vectors [dim]: out [count, stride] code + 128, four a word, with
  /// codes in [-127, 127] and code 0 past dim; the scale of each, and |vector - scale * code| in
  /// float32 with a relative error below dim * 2^-23. `stride` is in words, a multiple of 16, at
  /// least dim / 4.
  void (*encode)(const float* vectors, std::size_t count, std::size_t dim, std::uint32_t* out,
                 std::size_t stride, float* scales, float* residuals) noexcept;

  /// Writes every pair with score >= cut - slope * residual; as `cosine_variant::filter`. The sums
  /// of codes are exact.
  std::size_t (*filter)(const byte_block& block, std::size_t vectors,
                        filter_candidate* out) noexcept;
};

#if defined(__x86_64__)
extern const cosine_variant cosine_variant_avx2;
extern const cosine_variant cosine_variant_avx512;
extern const byte_filter byte_filter_avx512vnni; ///< panels like those of cosine_variant_avx512
#endif

} // namespace engram
