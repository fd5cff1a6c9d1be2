#pragma once

/// Cosine similarity: the contract of every variant, on CPUs and GPUs.
///
/// The score of a pair is the same bits whoever computes it, because the order is fixed:
///   dot            32 partial sums in float32; element i goes to sum i % 32 by one fused
///                  multiply-add, in ascending i; then the tree 16, 8, 4, 2, 1:
///                  sum[l] += sum[l + width] for l < width.
///   inverse norm   the same 32 sums and tree of x*x in float64 (products are exact there), then
///                  float32(1 / sqrt(sum)); 0 for a zero vector.
///   score          clamp((dot * inverse_norm(q)) * inverse_norm(t), -1, 1) + 0.0f, in float32.
///                  It is 0 (never -0) when either norm is 0.
/// float16 and bfloat16 elements are widened to float32 first, which is exact.
///
/// Inputs are finite, and the norm of a vector is 0 or within [2^-40, 2^40] so that no product
/// leaves float32's range: `rescale_power_of_two` puts any finite vector there without
/// changing its cosines.

#include "engram/base/ids.hpp"
#include "engram/base/views.hpp"
#include "engram/kernels/isa.hpp"
#include "engram/kernels/rows.hpp"
#include "engram/kernels/top_k.hpp"

#include <memory>
#include <optional>
#include <span>

namespace engram {

/// Returns the inverse Euclidean norm of `vector` as the contract above defines it.
float inverse_norm(std::span<const float> vector) noexcept;

/// Returns true if the norm of `vector` is neither 0 nor within [2^-40, 2^40].
bool has_extreme_norm(std::span<const float> vector) noexcept;

/// Multiplies `vector` by a power of two so that its norm is in [1, 2) if it was extreme; otherwise
/// leaves it alone. Exact but for components that become denormal.
void rescale_power_of_two(std::span<float> vector) noexcept;

/// Where a NaN or an infinity is.
struct non_finite_at {
  std::size_t row = 0;
  std::size_t column = 0;
};

/// Returns the first NaN or infinity of `matrix` in row-major order; nothing if all are finite.
std::optional<non_finite_at> find_non_finite(matrix_view<const float> matrix) noexcept;

/// The queries of one search: [q, dim] float32, their inverse norms [q].
struct query_block {
  matrix_view<const float> queries;
  std::span<const float> inverse_norms;
};

/// Memory that `search_rows` reuses between calls; one for each thread.
class search_scratch {
public:
  search_scratch();
  ~search_scratch();
  search_scratch(search_scratch&&) noexcept;
  search_scratch& operator=(search_scratch&&) noexcept;

  struct impl;
  impl& get() noexcept { return *impl_; }

private:
  std::unique_ptr<impl> impl_;
};

/// The functions of one instruction set. All levels return the same bits.
struct cosine_kernels {
  isa level;

  /// out[i] = score(query, targets row i). query [dim], targets [m, dim], out [m]; the norms of
  /// the targets are computed here.
  void (*similarity)(std::span<const float> query, float query_inverse_norm,
                     matrix_view<const float> targets, std::span<float> out) noexcept;

  /// out[i] = score(query, row ids[i]). Every id is below rows.rows. query [dim], out [ids.size()].
  void (*score)(std::span<const float> query, float query_inverse_norm, const row_view& rows,
                std::span<const row_id> ids, std::span<float> out) noexcept;

  /// Offers rows [first, last) to best[i], the running top-k of query i, for every query; each may
  /// keep a different k. What ends in `best` does not depend on how the rows were cut into calls or
  /// the queries into blocks. best.size() == queries.rows().
  /// Single-threaded; a call prepares its queries anew, so let it have enough rows: 2,048 or more
  /// with up to 4 queries (they stream at the speed of memory), 4,096 to 16,384 with more. Let a
  /// thread keep one `best` for all the blocks that it takes, because a filled top-k lets the
  /// filter drop nearly everything, and split the rows among threads, not the queries: then each
  /// row is read once.
  void (*search_rows)(const query_block& block, const row_view& rows, std::size_t first,
                      std::size_t last, std::span<top_k> best, search_scratch& scratch);
};

/// Returns the kernels of `level`, which must be supported.
const cosine_kernels& cosine_kernels_for(isa level) noexcept;

} // namespace engram
