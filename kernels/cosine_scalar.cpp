// The contract of cosine.hpp in executable form: written for reading, shares no code with the
// fast variants, which the tests hold against it bit by bit.

#include "engram/kernels/cosine_scalar.hpp"

#include "engram/kernels/float16.hpp"

#include <algorithm>
#include <cmath>

namespace engram {
namespace {

constexpr std::size_t partial_sums = 32;

template <class Sum>
[[gnu::always_inline]] inline Sum add_tree(Sum (&sum)[partial_sums]) noexcept {
  for (std::size_t width = partial_sums / 2; width > 0; width /= 2)
    for (std::size_t l = 0; l < width; ++l)
      sum[l] += sum[l + width];
  return sum[0];
}

// query [dim] float32, row [dim] of `type`; the row is widened 32 elements at a time.
[[gnu::always_inline]] inline float dot_in_order(const float* query, element_type type,
                                                 const std::byte* row, std::size_t dim) noexcept {
  float sum[partial_sums] = {};
  for (std::size_t i = 0; i < dim; i += partial_sums) {
    const std::size_t count = std::min(partial_sums, dim - i);
    float element[partial_sums];
    widen(type, row + i * size_of(type), {element, count});
    for (std::size_t l = 0; l < count; ++l)
      sum[l] = std::fma(query[i + l], element[l], sum[l]);
  }
  return add_tree(sum);
}

float dot_portable(const float* query, element_type type, const std::byte* row,
                   std::size_t dim) noexcept {
  return dot_in_order(query, type, row, dim);
}

#if defined(__x86_64__)
// The same function with the fused multiply-add as an instruction instead of a library call: the
// same bits, several times as fast.
[[gnu::target("fma")]] float dot_fma(const float* query, element_type type, const std::byte* row,
                                     std::size_t dim) noexcept {
  return dot_in_order(query, type, row, dim);
}
#endif

float dot(std::span<const float> query, element_type type, const std::byte* row) noexcept {
#if defined(__x86_64__)
  static const bool has_fma = __builtin_cpu_supports("fma") != 0;
  if (has_fma) return dot_fma(query.data(), type, row, query.size());
#endif
  return dot_portable(query.data(), type, row, query.size());
}

float score_of(float dot, float query_inverse_norm, float target_inverse_norm) noexcept {
  const float cosine = (dot * query_inverse_norm) * target_inverse_norm;
  return std::clamp(cosine, -1.0f, 1.0f) + 0.0f;
}

void similarity(std::span<const float> query, float query_inverse_norm,
                matrix_view<const float> targets, std::span<float> out) noexcept {
  for (std::size_t i = 0; i < targets.rows(); ++i) {
    const auto target = targets.row(i);
    const float d = dot(query, element_type::f32, std::as_bytes(target).data());
    out[i] = score_of(d, query_inverse_norm, inverse_norm_scalar(target));
  }
}

void score(std::span<const float> query, float query_inverse_norm, const row_view& rows,
           std::span<const row_id> ids, std::span<float> out) noexcept {
  for (std::size_t i = 0; i < ids.size(); ++i)
    out[i] = score_of(dot(query, rows.type, rows.row(ids[i])), query_inverse_norm,
                      rows.inverse_norms[ids[i]]);
}

void search_rows(const query_block& block, const row_view& rows, std::size_t first,
                 std::size_t last, std::span<top_k> best, search_scratch&) {
  for (std::size_t r = first; r < last; ++r)
    for (std::size_t q = 0; q < block.queries.rows(); ++q) {
      const float d = dot(block.queries.row(q), rows.type, rows.row(r));
      best[q].offer(
          {static_cast<row_id>(r), score_of(d, block.inverse_norms[q], rows.inverse_norms[r])});
    }
}

} // namespace

float inverse_norm_scalar(std::span<const float> vector) noexcept {
  double sum[partial_sums] = {};
  for (std::size_t i = 0; i < vector.size(); ++i) {
    const double x = vector[i];
    sum[i % partial_sums] += x * x; // exact product: fused or not, the bits are the same
  }
  const double norm_squared = add_tree(sum);
  return norm_squared == 0.0 ? 0.0f : static_cast<float>(1.0 / std::sqrt(norm_squared));
}

const cosine_kernels cosine_kernels_scalar{isa::scalar, similarity, score, search_rows};

} // namespace engram
