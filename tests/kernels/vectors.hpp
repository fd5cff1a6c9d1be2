#pragma once

/// Vectors for the kernel tests, and what float64 says about them.

#include "engram/kernels/cosine.hpp"
#include "engram/kernels/float16.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace engram::test {

/// [rows, dim] float32 numbers.
struct matrix {
  std::size_t rows = 0;
  std::size_t dim = 0;
  std::vector<float> data;

  matrix(std::size_t rows_, std::size_t dim_) : rows(rows_), dim(dim_), data(rows_ * dim_) {}

  std::span<float> row(std::size_t r) { return {data.data() + r * dim, dim}; }
  std::span<const float> row(std::size_t r) const { return {data.data() + r * dim, dim}; }
  matrix_view<const float> view() const { return {data.data(), rows, dim}; }
};

inline matrix random_matrix(std::size_t rows, std::size_t dim, unsigned seed_number) {
  matrix m(rows, dim);
  std::mt19937 generator(seed_number);
  std::normal_distribution<float> normal;
  for (float& x : m.data)
    x = normal(generator);
  return m;
}

/// Small whole numbers: every sum is exact in float32.
inline matrix integer_matrix(std::size_t rows, std::size_t dim, unsigned seed_number) {
  matrix m(rows, dim);
  std::mt19937 generator(seed_number);
  std::uniform_int_distribution<int> small(-3, 3);
  for (float& x : m.data)
    x = static_cast<float>(small(generator));
  return m;
}

/// Rows as a collection stores them. Moving keeps views valid; copying is not needed.
struct stored_rows {
  element_type type;
  std::size_t rows;
  std::size_t dim;
  std::vector<std::byte> bytes;
  std::vector<float> inverse_norms;

  stored_rows(const matrix& m, element_type type_)
      : type(type_), rows(m.rows), dim(m.dim), bytes(m.data.size() * size_of(type_)),
        inverse_norms(m.rows) {
    narrow(type, m.data, bytes.data());
    for (std::size_t r = 0; r < rows; ++r)
      inverse_norms[r] = inverse_norm(row(r));
  }

  row_view view() const { return {bytes.data(), type, rows, dim, inverse_norms.data()}; }
  std::vector<float> row(std::size_t r) const {
    std::vector<float> values(dim);
    widen(type, bytes.data() + r * dim * size_of(type), values);
    return values;
  }
};

/// Queries with their inverse norms.
struct query_set {
  matrix queries;
  std::vector<float> inverse_norms;

  explicit query_set(matrix m) : queries(std::move(m)) {
    for (std::size_t q = 0; q < queries.rows; ++q)
      inverse_norms.push_back(inverse_norm(queries.row(q)));
  }
  query_block block() const { return block(0, queries.rows); }
  query_block block(std::size_t first, std::size_t count) const {
    return {queries.view().rows(first, count),
            std::span<const float>(inverse_norms).subspan(first, count)};
  }
};

/// The cosine as spec section 1.1 defines it, in float64.
inline double reference_cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  if (aa == 0 || bb == 0) return 0;
  return std::clamp(ab / (std::sqrt(aa) * std::sqrt(bb)), -1.0, 1.0);
}

/// How far a score may be from float64 (spec section 1.4).
inline double score_tolerance(std::size_t dim) {
  return dim <= 1024 ? 2e-6 : 2e-6 * std::sqrt(static_cast<double>(dim) / 1024.0);
}

using answers = std::vector<std::vector<hit>>;

/// Searches rows [0, rows) cut at `cuts`, with one k for all queries.
inline answers search(isa level, const query_block& block, const row_view& rows, std::size_t k,
                      std::vector<std::size_t> cuts = {}) {
  std::vector<top_k> best(block.queries.rows(), top_k(k));
  search_scratch scratch;
  cuts.push_back(rows.rows);
  std::size_t first = 0;
  for (std::size_t last : cuts) {
    cosine_kernels_for(level).search_rows(block, rows, first, last, best, scratch);
    first = last;
  }
  answers result;
  for (top_k& b : best)
    result.push_back(b.take_sorted());
  return result;
}

inline std::string name_of(element_type type) {
  switch (type) {
  case element_type::f32:
    return "f32";
  case element_type::f16:
    return "f16";
  case element_type::bf16:
    return "bf16";
  }
  return "unknown";
}

inline constexpr element_type all_types[] = {element_type::f32, element_type::f16,
                                             element_type::bf16};

/// Runs a test once for each instruction set of this machine.
class each_isa : public testing::TestWithParam<isa> {
protected:
  const cosine_kernels& kernels() const { return cosine_kernels_for(GetParam()); }
};

inline std::string isa_name(const testing::TestParamInfo<isa>& info) {
  return std::string(to_string(info.param));
}

} // namespace engram::test
