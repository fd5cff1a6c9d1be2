#include "engram/kernels/cosine.hpp"

#include <limits>

#include "vectors.hpp"

namespace {

using namespace engram;
using namespace engram::test;

constexpr std::size_t awkward_dims[] = {1,  2,  7,  8,   15,  16,   17,  31,
                                        32, 33, 63, 384, 768, 1000, 1536};
constexpr std::size_t awkward_counts[] = {0, 1, 2, 15, 16, 17, 33};

class cosine : public each_isa {};
INSTANTIATE_TEST_SUITE_P(isas, cosine, testing::ValuesIn(supported_isas()), isa_name);

TEST_P(cosine, similarity_equals_the_scalar_variant_and_is_near_float64) {
  for (std::size_t dim : awkward_dims)
    for (std::size_t count : awkward_counts) {
      const auto targets = random_matrix(count, dim, 1);
      const auto query = random_matrix(1, dim, 2);
      const float scale = inverse_norm(query.row(0));
      std::vector<float> scores(count), expected(count);
      kernels().similarity(query.row(0), scale, targets.view(), scores);
      cosine_kernels_for(isa::scalar).similarity(query.row(0), scale, targets.view(), expected);
      ASSERT_EQ(scores, expected) << dim << " x " << count;
      for (std::size_t i = 0; i < count; ++i)
        ASSERT_NEAR(scores[i], reference_cosine(query.row(0), targets.row(i)), score_tolerance(dim))
            << dim;
    }
}

TEST_P(cosine, score_equals_the_scalar_variant_for_every_storage_type) {
  for (element_type type : all_types)
    for (std::size_t dim : awkward_dims) {
      const stored_rows rows(random_matrix(40, dim, 3), type);
      const auto query = random_matrix(1, dim, 4);
      const float scale = inverse_norm(query.row(0));
      const std::vector<row_id> ids = {39, 0, 7, 7, 21, 3, 38, 12, 1, 30, 11, 5, 9, 2, 39, 17, 20};
      std::vector<float> scores(ids.size()), expected(ids.size());
      kernels().score(query.row(0), scale, rows.view(), ids, scores);
      cosine_kernels_for(isa::scalar).score(query.row(0), scale, rows.view(), ids, expected);
      ASSERT_EQ(scores, expected) << name_of(type) << ' ' << dim;
      for (std::size_t i = 0; i < ids.size(); ++i)
        ASSERT_NEAR(scores[i], reference_cosine(query.row(0), rows.row(ids[i])),
                    score_tolerance(dim));
    }
}

TEST_P(cosine, a_row_scores_the_same_alone_listed_and_searched) {
  const auto targets = random_matrix(50, 100, 5);
  const stored_rows rows(targets, element_type::f32);
  const query_set query(random_matrix(1, 100, 6));
  std::vector<row_id> ids(50);
  for (row_id i = 0; i < 50; ++i)
    ids[i] = i;
  std::vector<float> ad_hoc(50), listed(50);
  kernels().similarity(query.queries.row(0), query.inverse_norms[0], targets.view(), ad_hoc);
  kernels().score(query.queries.row(0), query.inverse_norms[0], rows.view(), ids, listed);
  EXPECT_EQ(ad_hoc, listed);
  const auto found = search(GetParam(), query.block(), rows.view(), 50);
  ASSERT_EQ(found[0].size(), 50u);
  for (const hit& h : found[0])
    EXPECT_EQ(h.score, ad_hoc[h.id]);
}

TEST_P(cosine, zero_vectors_score_positive_zero) {
  matrix targets = random_matrix(3, 40, 7);
  std::fill(targets.row(1).begin(), targets.row(1).end(), -0.0f);
  const matrix zero(1, 40);
  std::vector<float> scores(3);
  const auto query = random_matrix(1, 40, 8);
  kernels().similarity(query.row(0), inverse_norm(query.row(0)), targets.view(), scores);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(scores[1]), 0u);
  kernels().similarity(zero.row(0), inverse_norm(zero.row(0)), targets.view(), scores);
  for (float s : scores)
    EXPECT_EQ(std::bit_cast<std::uint32_t>(s), 0u);
}

TEST_P(cosine, stays_within_minus_one_and_one) {
  for (std::size_t dim : awkward_dims) {
    matrix targets(200, dim);
    const auto base = random_matrix(200, dim, 9);
    std::vector<float> scores(1);
    for (std::size_t r = 0; r < targets.rows; ++r) {
      const float factor = (r % 2 ? -1.0f : 1.0f) * (1.0f + static_cast<float>(r) / 7.0f);
      for (std::size_t i = 0; i < dim; ++i)
        targets.row(r)[i] = base.row(r)[i] * factor;
      kernels().similarity(base.row(r), inverse_norm(base.row(r)), targets.view().rows(r, 1),
                           scores);
      ASSERT_LE(std::fabs(scores[0]), 1.0f);
      ASSERT_NEAR(scores[0], r % 2 ? -1.0 : 1.0, score_tolerance(dim));
    }
  }
}

TEST_P(cosine, products_that_underflow_leave_no_negative_zero) {
  matrix targets(1, 33), query(1, 33);
  targets.row(0)[0] = 1.0f;
  query.row(0)[1] = 1.0f;
  targets.row(0)[32] = 1e-30f;
  query.row(0)[32] = -1e-30f;
  std::vector<float> scores(1), expected(1);
  kernels().similarity(query.row(0), inverse_norm(query.row(0)), targets.view(), scores);
  EXPECT_EQ(std::bit_cast<std::uint32_t>(scores[0]), 0u);
}

TEST_P(cosine, whole_numbers_give_exactly_the_rounded_cosine) {
  const auto targets = integer_matrix(64, 256, 10);
  const auto query = integer_matrix(1, 256, 11);
  std::vector<float> scores(64);
  const float scale = inverse_norm(query.row(0));
  kernels().similarity(query.row(0), scale, targets.view(), scores);
  for (std::size_t r = 0; r < 64; ++r) {
    double dot = 0, norm_squared = 0;
    for (std::size_t i = 0; i < 256; ++i) {
      dot += query.row(0)[i] * targets.row(r)[i];
      norm_squared += targets.row(r)[i] * targets.row(r)[i];
    }
    const auto target_scale = static_cast<float>(1.0 / std::sqrt(norm_squared));
    EXPECT_EQ(scores[r], (static_cast<float>(dot) * scale) * target_scale + 0.0f);
  }
}

// `inverse_norm` is not a member of a table; the scores of a vector with itself expose each
// variant's.
TEST_P(cosine, the_norms_of_ad_hoc_targets_are_those_of_resident_rows) {
  for (std::size_t dim : awkward_dims) {
    const auto targets = random_matrix(5, dim, 12);
    const stored_rows rows(targets, element_type::f32);
    std::vector<float> ad_hoc(5), listed(5);
    const std::vector<row_id> ids = {0, 1, 2, 3, 4};
    kernels().similarity(targets.row(2), 1.0f, targets.view(), ad_hoc);
    kernels().score(targets.row(2), 1.0f, rows.view(), ids, listed);
    ASSERT_EQ(ad_hoc, listed) << dim;
  }
}

TEST(inverse_norm, is_the_rounded_float64_value_and_zero_for_zero) {
  for (std::size_t dim : awkward_dims) {
    const auto m = random_matrix(20, dim, 13);
    for (std::size_t r = 0; r < m.rows; ++r) {
      long double sum = 0;
      for (float x : m.row(r))
        sum += static_cast<long double>(x) * x;
      const auto expected = static_cast<double>(1.0L / std::sqrt(sum));
      ASSERT_NEAR(inverse_norm(m.row(r)), expected, expected * 6e-8);
    }
  }
  EXPECT_EQ(inverse_norm(std::vector<float>(33, 0.0f)), 0.0f);
}

double norm_of(std::span<const float> v) {
  double sum = 0;
  for (float x : v)
    sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

TEST(rescale_power_of_two, brings_extreme_norms_into_one_to_two_and_keeps_the_direction) {
  for (float size : {3e38f, 1e30f, 1e13f, 1e-13f, 1e-30f, 1e-44f}) {
    std::vector<float> v = {size, -size / 2, 0.0f, size / 4};
    const std::vector<float> before = v;
    rescale_power_of_two(v);
    EXPECT_GE(norm_of(v), 1.0) << size;
    EXPECT_LT(norm_of(v), 2.0) << size;
    const double factor = static_cast<double>(v[0]) / before[0];
    int exponent;
    EXPECT_EQ(std::frexp(factor, &exponent), 0.5) << size;
    for (std::size_t i = 0; i < v.size(); ++i)
      EXPECT_EQ(v[i], before[i] * factor) << size;
  }
}

TEST(rescale_power_of_two, leaves_ordinary_and_zero_vectors_alone) {
  for (float size : {0.0f, 0x1p-40f, 1.0f, 0x1p40f}) {
    std::vector<float> v = {size, 0.0f};
    rescale_power_of_two(v);
    EXPECT_EQ(v, (std::vector<float>{size, 0.0f}));
  }
}

TEST_P(cosine, rescaled_extreme_vectors_score_like_ordinary_ones) {
  const auto query = random_matrix(1, 100, 14);
  const auto ordinary = random_matrix(1, 100, 15);
  for (float size : {0x1p100f, 0x1p-100f}) {
    matrix extreme = ordinary;
    for (float& x : extreme.data)
      x *= size;
    rescale_power_of_two(extreme.row(0));
    std::vector<float> score(1);
    kernels().similarity(query.row(0), inverse_norm(query.row(0)), extreme.view(), score);
    EXPECT_NEAR(score[0], reference_cosine(query.row(0), ordinary.row(0)), score_tolerance(100));
  }
}

TEST(find_non_finite, names_the_first_bad_element_in_row_major_order) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (std::size_t dim : {1, 7, 255, 256, 257, 768}) {
    matrix m = random_matrix(5, dim, 16);
    EXPECT_FALSE(find_non_finite(m.view())) << dim;
    m.row(4)[dim - 1] = nan;
    m.row(3)[dim / 2] = -infinity;
    auto found = find_non_finite(m.view());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->row, 3u);
    EXPECT_EQ(found->column, dim / 2);
    m.row(0)[0] = infinity;
    found = find_non_finite(m.view());
    ASSERT_TRUE(found);
    EXPECT_EQ(found->row, 0u);
    EXPECT_EQ(found->column, 0u);
  }
  EXPECT_FALSE(find_non_finite({}));
}

TEST(find_non_finite, lets_the_largest_and_the_smallest_numbers_pass) {
  const std::vector<float> v = {std::numeric_limits<float>::max(),
                                std::numeric_limits<float>::lowest(),
                                std::numeric_limits<float>::denorm_min(), -0.0f};
  EXPECT_FALSE(find_non_finite({v.data(), 1, v.size()}));
}

} // namespace
