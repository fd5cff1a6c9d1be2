#include "engram/kernels/cosine.hpp"

#include "engram/kernels/cosine_scalar.hpp"
#include "engram/kernels/cosine_search.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace engram {
namespace {

#if defined(__x86_64__)

// The functions of an instruction set, made from its primitives.
template <const cosine_variant& Variant, const byte_filter* Bytes = nullptr>
struct functions_of {
  static float inverse_norm(std::span<const float> vector) noexcept {
    const double norm_squared = Variant.sum_of_squares(vector.data(), vector.size());
    return norm_squared == 0.0 ? 0.0f : static_cast<float>(1.0 / std::sqrt(norm_squared));
  }

  static void similarity(std::span<const float> query, float query_inverse_norm,
                         matrix_view<const float> targets, std::span<float> out) noexcept {
    scores(
        query, query_inverse_norm, element_type::f32, out,
        [&](std::size_t i) { return targets.row(i).data(); },
        [&](std::size_t i) { return inverse_norm(targets.row(i)); });
  }

  static void score(std::span<const float> query, float query_inverse_norm, const row_view& rows,
                    std::span<const row_id> ids, std::span<float> out) noexcept {
    scores(
        query, query_inverse_norm, rows.type, out, [&](std::size_t i) { return rows.row(ids[i]); },
        [&](std::size_t i) { return rows.inverse_norms[ids[i]]; });
  }

  static void search_rows(const query_block& block, const row_view& rows, std::size_t first,
                          std::size_t last, std::span<top_k> best, search_scratch& scratch) {
    search_rows_with(Variant, Bytes, block, rows, first, last, best, scratch);
  }

private:
  // out[i] = the score of the row at `row_at(i)` with the inverse norm `norm_at(i)`.
  template <class RowAt, class NormAt>
  static void scores(std::span<const float> query, float query_inverse_norm, element_type type,
                     std::span<float> out, RowAt row_at, NormAt norm_at) noexcept {
    constexpr std::size_t group = 16;
    const float* const queries[] = {query.data()};
    std::array<const void*, group> rows;
    for (std::size_t i = 0; i < out.size(); i += group) {
      const std::size_t count = std::min(group, out.size() - i);
      for (std::size_t j = 0; j < count; ++j)
        rows[j] = row_at(i + j);
      Variant.dots(queries, 1, rows.data(), count, type, query.size(), out.data() + i);
      for (std::size_t j = i; j < i + count; ++j)
        out[j] = score_of(out[j], query_inverse_norm, norm_at(j));
    }
  }
};

template <class Functions>
constexpr cosine_kernels kernels_of(isa level) {
  return {level, Functions::similarity, Functions::score, Functions::search_rows};
}

using avx2_functions = functions_of<cosine_variant_avx2>;
using avx512_functions = functions_of<cosine_variant_avx512>;
using avx512vnni_functions = functions_of<cosine_variant_avx512, &byte_filter_avx512vnni>;

constexpr cosine_kernels cosine_kernels_avx2 = kernels_of<avx2_functions>(isa::avx2);
constexpr cosine_kernels cosine_kernels_avx512 = kernels_of<avx512_functions>(isa::avx512);
constexpr cosine_kernels cosine_kernels_avx512vnni =
    kernels_of<avx512vnni_functions>(isa::avx512vnni);

#endif

using inverse_norm_function = float (*)(std::span<const float>) noexcept;

inverse_norm_function chosen_inverse_norm() noexcept {
#if defined(__x86_64__)
  const auto chosen = chosen_isa();
  switch (chosen ? *chosen : isa::scalar) {
  case isa::scalar:
    break;
  case isa::avx2:
    return avx2_functions::inverse_norm;
  case isa::avx512:
  case isa::avx512vnni:
    return avx512_functions::inverse_norm;
  }
#endif
  return inverse_norm_scalar;
}

double norm_of(std::span<const float> vector) noexcept {
  double norm_squared = 0.0;
  for (float x : vector)
    norm_squared += static_cast<double>(x) * x;
  return std::sqrt(norm_squared);
}

bool is_extreme(double norm) noexcept {
  return norm != 0.0 && !(norm >= 0x1p-40 && norm <= 0x1p40);
}

} // namespace

const cosine_kernels& cosine_kernels_for(isa level) noexcept {
#if defined(__x86_64__)
  switch (level) {
  case isa::scalar:
    break;
  case isa::avx2:
    return cosine_kernels_avx2;
  case isa::avx512:
    return cosine_kernels_avx512;
  case isa::avx512vnni:
    return cosine_kernels_avx512vnni;
  }
#else
  static_cast<void>(level);
#endif
  return cosine_kernels_scalar;
}

float inverse_norm(std::span<const float> vector) noexcept {
  static const inverse_norm_function chosen = chosen_inverse_norm();
  return chosen(vector);
}

bool has_extreme_norm(std::span<const float> vector) noexcept {
  return is_extreme(norm_of(vector));
}

void rescale_power_of_two(std::span<float> vector) noexcept {
  const double norm = norm_of(vector);
  if (!is_extreme(norm)) return;
  // In float64, which holds every factor and rounds each component once.
  const double factor = std::ldexp(1.0, -std::ilogb(norm));
  for (float& x : vector)
    x = static_cast<float>(x * factor);
}

std::optional<non_finite_at> find_non_finite(matrix_view<const float> matrix) noexcept {
  constexpr std::uint32_t exponent_bits = 0x7f80'0000;
  const auto is_bad = [](float x) {
    return (std::bit_cast<std::uint32_t>(x) & exponent_bits) == exponent_bits;
  };
  // Whole groups without a branch on each element, so that the compiler can vectorise.
  constexpr std::size_t group = 256;
  const float* data = matrix.data();
  for (std::size_t begin = 0; begin < matrix.size(); begin += group) {
    const std::size_t end = std::min(begin + group, matrix.size());
    unsigned bad = 0;
    for (std::size_t i = begin; i < end; ++i)
      bad |= static_cast<unsigned>(is_bad(data[i]));
    if (bad == 0) continue;
    const auto at = static_cast<std::size_t>(std::find_if(data + begin, data + end, is_bad) - data);
    return non_finite_at{at / matrix.cols(), at % matrix.cols()};
  }
  return std::nullopt;
}

} // namespace engram
