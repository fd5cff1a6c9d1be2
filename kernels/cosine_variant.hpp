#pragma once

/// What an instruction set contributes to cosine.hpp, and the functions built from it. Private to
/// kernels/.
///
/// The files compiled with special flags (cosine_avx2.cpp, cosine_avx512.cpp) include only this
/// header and <immintrin.h>, and it declares only plain structs and pointers: an inline function of
/// the standard library compiled there could be the copy that the linker keeps for the whole
/// program, and would then crash on a processor without those instructions.

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

#if defined(__x86_64__)
extern const cosine_variant cosine_variant_avx2;
extern const cosine_variant cosine_variant_avx512;
#endif

} // namespace engram
