#pragma once

/// The fast first passes of search: each gives a pair a cheap score and a proven bound on how far
/// that is from the canonical score of cosine.hpp. Private to kernels/.
///
/// Let u = 2^-24, n = dim, gamma(m) = m u / (1 - m u), and c the true cosine of a pair.
///
/// Canonical score. A float32 sum of m fused products on its longest path differs from the exact
/// dot by at most gamma(m) sum |q_i t_i| <= gamma(m) |q||t| (Higham, Accuracy and Stability of
/// Numerical Algorithms, section 3.1); the canonical order has at most n/32 + 1 fused additions and
/// 5 of the tree on any path. An inverse norm is within a relative u (and float64's rounding) of
/// the true one, and the two multiplications add u each: four in all. The clamp does no harm, as c
/// is within [-1, 1]. So
///     |canonical - c| <= (1 + gamma(n/32 + 6)) (1 + 4.1 u) - 1 < 1.01 (n/32 + 11) u.
///
/// Float pass: any order of summation, so m = n: |fast - c| < 1.01 (n + 5) u. Together
///     |fast - canonical| < 1.01 (n + n/32 + 16) u.
///
/// Byte pass: q = q' + dq and t = t' + dt with q', t' a scale times int8 codes, and the dot of the
/// codes is exact. With r = |dq|/|q| and s = |dt|/|t|,
///     |q.t - q'.t'| <= |dq||t| + |q'||dt|, so |q'.t' / (|q||t|) - c| <= r + (1 + r) s.
/// The conversion of the dot to float32, the two products scale * inverse norm, the inverse norms
/// and two multiplications are seven roundings, relative to |q'.t'| / (|q||t|) <= (1 + r)(1 + s) <
/// 2 (r and s are at most sqrt(n)/254, below 0.4). r and s are computed in float32 with a relative
/// error below n 2^-23, which the factor 1.01 covers. Together
///     |fast - canonical| < r + (1 + r) s + 1.01 (n/32 + 11 + 15) u.
///
/// All this holds for n <= 2^15. Underflow adds at most 2n 2^-150 to a dot, and 2^-80 <= |q||t|
/// divides it; and at most sqrt(n) 2^-74 to a residual, which 2^-40 <= |t| divides: less than u/8
/// in all. Each bound below has 5 u more than that, for the roundings of `score - bound` and the
/// like.

#include "engram/kernels/cosine.hpp"
#include "engram/kernels/cosine_variant.hpp"

#include <vector>

namespace engram {

/// Memory of a pass, reused between calls.
struct filter_memory {
  std::vector<float> float_panels;        // panels one after another, each [dim, lanes]
  std::vector<float> widened;             // rows as float32
  std::vector<std::uint32_t> query_words; // codes of the queries, four a word
  std::vector<std::uint32_t> byte_panels; // panels one after another, each [words, lanes]
  std::vector<std::int32_t> biases;       // [padded queries]
  std::vector<std::uint32_t> row_codes;   // of the rows in hand, four a word
  std::vector<float> row_scales;
  std::vector<float> row_residuals;
  std::vector<float> query_scales;    // [padded queries]
  std::vector<float> query_residuals; // [padded queries]
  std::vector<float> slopes;          // [padded queries]
};

/// The queries of a call as both passes see them: panels of whole registers, the last one narrower
/// and filled up with zeros.
struct panel_layout {
  std::size_t queries;
  std::size_t lanes_per_vector;
  std::size_t vectors_per_panel;

  std::size_t padded() const {
    return (queries + lanes_per_vector - 1) / lanes_per_vector * lanes_per_vector;
  }
  std::size_t lanes_per_panel() const { return lanes_per_vector * vectors_per_panel; }
  /// Registers of the panel that starts at query `first`.
  std::size_t vectors_of(std::size_t first) const {
    const std::size_t left = (padded() - first) / lanes_per_vector;
    return left < vectors_per_panel ? left : vectors_per_panel;
  }
};

/// Scores pairs in float32, in the order of summation that is fastest.
class float_pass {
public:
  float_pass(const cosine_variant& variant, const query_block& block, const row_view& rows,
             filter_memory& memory);

  /// How many rows `take` should get at once.
  std::size_t rows_in_hand() const;
  /// Takes rows [first, first + count) in hand.
  void take(std::size_t first, std::size_t count);
  /// Writes the pairs of the rows [at, at + count) in hand with the panel of `first_query` whose
  /// score is at least cuts[query] - row_error(query, row); returns how many.
  std::size_t filter(std::size_t at, std::size_t count, std::size_t first_query, const float* cuts,
                     filter_candidate* out) const;

  /// |fast - canonical| is at most base_error(query) + row_error(query, row in hand).
  float base_error(std::size_t) const { return error_; }
  float row_error(std::size_t, std::size_t) const { return 0.0f; }

private:
  const cosine_variant& variant_;
  const row_view& rows_;
  filter_memory& memory_;
  panel_layout layout_;
  float error_;
  std::size_t first_ = 0;
  const float* in_hand_ = nullptr;
};

/// Scores pairs by int8 codes, which it makes of the queries at the start and of the rows as they
/// come.
class byte_pass {
public:
  byte_pass(const cosine_variant& variant, const byte_filter& filter, const query_block& block,
            const row_view& rows, filter_memory& memory);

  std::size_t rows_in_hand() const;
  void take(std::size_t first, std::size_t count);
  std::size_t filter(std::size_t at, std::size_t count, std::size_t first_query, const float* cuts,
                     filter_candidate* out) const;

  float base_error(std::size_t query) const { return memory_.query_residuals[query] + error_; }
  float row_error(std::size_t query, std::size_t at) const {
    return memory_.slopes[query] * memory_.row_residuals[at];
  }

private:
  void encode_queries(const query_block& block);

  const cosine_variant& variant_;
  const byte_filter& filter_;
  const row_view& rows_;
  filter_memory& memory_;
  panel_layout layout_;
  std::size_t stride_;
  float error_;
};

} // namespace engram
