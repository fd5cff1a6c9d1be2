#pragma once

/// Search over a range of rows with the primitives of one instruction set. Private to kernels/.

#include "engram/kernels/cosine.hpp"
#include "engram/kernels/cosine_variant.hpp"

namespace engram {

/// Returns the score of a pair from its canonical dot, by the contract of cosine.hpp.
inline float score_of(float dot, float query_inverse_norm, float target_inverse_norm) noexcept {
  const float cosine = (dot * query_inverse_norm) * target_inverse_norm;
  const float bounded = cosine > 1.0f ? 1.0f : cosine < -1.0f ? -1.0f : cosine;
  return bounded + 0.0f;
}

/// `cosine_kernels::search_rows` with the primitives of `variant` and, unless it is null, with
/// `bytes` as first pass of many queries.
void search_rows_with(const cosine_variant& variant, const byte_filter* bytes,
                      const query_block& block, const row_view& rows, std::size_t first,
                      std::size_t last, std::span<top_k> best, search_scratch& scratch);

} // namespace engram
