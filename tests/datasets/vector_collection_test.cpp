#include "engram/datasets/collection_builder.hpp"
#include "engram/datasets/text_embedder.hpp"
#include "engram/datasets/vector_collection.hpp"
#include "engram/kernels/cosine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace engram {
namespace {

using ::testing::HasSubstr;

std::vector<float> random_rows(std::size_t count, float scale, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, scale);
  std::vector<float> out(count);
  for (float& x : out)
    x = normal(random);
  return out;
}

double cosine(std::span<const float> a, std::span<const float> b) {
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

class every_element_type : public ::testing::TestWithParam<element_type> {};

TEST_P(every_element_type, keeps_ordinary_rows_as_close_as_the_type_can) {
  const std::size_t n = 130, dim = 33;
  const auto given = random_rows(n * dim, 0.1f, 1);
  const auto made = vector_collection::make({given.data(), n, dim}, GetParam());
  ASSERT_TRUE(made) << made.error().message;
  const auto& collection = **made;
  EXPECT_EQ(collection.size(), n);
  EXPECT_EQ(collection.dim(), dim);
  EXPECT_EQ(collection.type(), GetParam());
  EXPECT_EQ(collection.resident_bytes(), n * dim * size_of(GetParam()) + n * 4);
  const float unit = GetParam() == element_type::f32   ? 0.0f
                     : GetParam() == element_type::f16 ? 0x1p-11f
                                                       : 0x1p-8f;
  for (std::size_t r = 0; r < n; ++r) {
    const auto row = collection.row(r);
    for (std::size_t c = 0; c < dim; ++c)
      EXPECT_NEAR(row[c], given[r * dim + c],
                  std::fabs(given[r * dim + c]) * unit + unit * 0x1p-12f);
  }
}

TEST_P(every_element_type, takes_norms_of_what_is_stored) {
  const std::size_t n = 20, dim = 70;
  const auto given = random_rows(n * dim, 1.0f, 2);
  const auto made = vector_collection::make({given.data(), n, dim}, GetParam());
  ASSERT_TRUE(made);
  for (std::size_t r = 0; r < n; ++r)
    EXPECT_EQ((*made)->rows().inverse_norms[r], inverse_norm((*made)->row(r)));
}

TEST_P(every_element_type, rescales_extreme_rows_without_changing_their_direction) {
  const std::size_t dim = 24;
  for (const float scale : {1e-44f, 1e-38f, 1e-20f, 1e-6f, 1e-3f, 1.0f, 1e4f, 1e6f, 1e20f, 1e37f}) {
    const auto given = random_rows(dim, scale, 3);
    const auto made = vector_collection::make({given.data(), 1, dim}, GetParam());
    ASSERT_TRUE(made);
    const float inverse = (*made)->rows().inverse_norms[0];
    EXPECT_GE(inverse, 0x1p-40f) << scale;
    EXPECT_LE(inverse, 0x1p40f) << scale;
    EXPECT_GT(cosine((*made)->row(0), given), 0.9999) << scale;
  }
}

TEST_P(every_element_type, keeps_a_zero_row_zero) {
  const std::vector<float> given(8);
  const auto made = vector_collection::make({given.data(), 2, 4}, GetParam());
  ASSERT_TRUE(made);
  EXPECT_EQ((*made)->row(1), std::vector<float>(4));
  EXPECT_EQ((*made)->rows().inverse_norms[1], 0.0f);
}

TEST_P(every_element_type, aligns_its_first_row_to_a_cache_line) {
  const std::vector<float> given(7, 1.0f);
  const auto made = vector_collection::make({given.data(), 1, 7}, GetParam());
  ASSERT_TRUE(made);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>((*made)->rows().data) % 64, 0u);
}

INSTANTIATE_TEST_SUITE_P(vector_collection, every_element_type,
                         ::testing::Values(element_type::f32, element_type::f16,
                                           element_type::bf16));

TEST(vector_collection, leaves_unit_rows_of_any_dim_unscaled_in_float16) {
  for (const std::size_t dim : {std::size_t{1}, std::size_t{768}, max_dim}) {
    const std::vector<float> given(dim, static_cast<float>(1.0 / std::sqrt(double(dim))));
    const auto made = vector_collection::make({given.data(), 1, dim}, element_type::f16);
    ASSERT_TRUE(made);
    EXPECT_NEAR((*made)->row(0)[0], given[0], given[0] * 0x1p-11f);
  }
}

TEST(vector_collection, does_not_overflow_float16) {
  const std::vector<float> given{65519.0f, -65520.0f, 1e5f, 3.0f};
  const auto made = vector_collection::make({given.data(), 1, 4}, element_type::f16);
  ASSERT_TRUE(made);
  for (const float x : (*made)->row(0))
    EXPECT_TRUE(std::isfinite(x));
  EXPECT_GT(cosine((*made)->row(0), given), 0.999999);
}

struct bad_collection {
  std::size_t rows, dim;
  std::vector<float> numbers;
  std::vector<std::string> labels;
  std::string message;
};

TEST(vector_collection, refuses_what_breaks_a_rule_and_says_where) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<bad_collection> cases{
      {0, 3, {}, {}, "1 to 4294967295 rows, not 0"},
      {3, 0, {}, {}, "1 to 8192 columns, not 0"},
      {1, 8193, std::vector<float>(8193, 1.0f), {}, "1 to 8192 columns, not 8193"},
      {2, 2, {1, 2, 3, nan}, {}, "row 1, column 1 is a NaN or an infinity"},
      {2, 2, {1, -infinity, nan, 4}, {}, "row 0, column 1 is a NaN or an infinity"},
      {2, 1, {1, 2}, {"only one"}, "1 labels for 2 rows"},
  };
  for (const auto& bad : cases) {
    const auto made = vector_collection::make({bad.numbers.data(), bad.rows, bad.dim},
                                              element_type::f32, bad.labels);
    ASSERT_FALSE(made) << bad.message;
    EXPECT_EQ(made.error().code, ec::invalid_argument);
    EXPECT_THAT(made.error().message, HasSubstr(bad.message));
  }
}

TEST(vector_collection, names_the_row_of_the_whole_collection_far_into_it) {
  const std::size_t n = 5000, dim = 17; // more than one block of the check
  std::vector<float> given(n * dim, 1.0f);
  given[4321 * dim + 5] = std::numeric_limits<float>::infinity();
  const auto made = vector_collection::make({given.data(), n, dim});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("row 4321, column 5"));
}

TEST(vector_collection, refuses_an_embedder_of_another_dim) {
  const std::vector<float> given{1, 2};
  const auto embedder = std::make_shared<text_embedder>(text_embedder::fit(3, {"dog"}));
  const auto made = vector_collection::make({given.data(), 1, 2}, element_type::f32, {}, embedder);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("an embedder of dim 3"));
}

TEST(vector_collection, answers_no_label_when_it_has_none) {
  const std::vector<float> given{1, 2};
  const auto bare = vector_collection::make({given.data(), 2, 1});
  ASSERT_TRUE(bare);
  EXPECT_FALSE((*bare)->has_labels());
  EXPECT_EQ((*bare)->label(1), "");
  const auto labelled =
      vector_collection::make({given.data(), 2, 1}, element_type::f32, {"a", "b"});
  ASSERT_TRUE(labelled);
  EXPECT_EQ((*labelled)->label(1), "b");
}

TEST(collection_builder, makes_the_same_from_pieces_as_from_the_whole) {
  const std::size_t n = 300, dim = 5;
  const auto given = random_rows(n * dim, 1.0f, 4);
  const matrix_view<const float> whole(given.data(), n, dim);
  auto builder = collection_builder::create(n, dim, element_type::f16);
  ASSERT_TRUE(builder);
  ASSERT_TRUE(builder->append(whole.rows(0, 1)));
  ASSERT_TRUE(builder->append(whole.rows(1, 0)));
  ASSERT_TRUE(builder->append(whole.rows(1, 299)));
  const auto pieces = std::move(*builder).finish({}, nullptr);
  const auto at_once = vector_collection::make(whole, element_type::f16);
  ASSERT_TRUE(pieces);
  ASSERT_TRUE(at_once);
  for (std::size_t r = 0; r < n; ++r)
    EXPECT_EQ((*pieces)->row(r), (*at_once)->row(r));
}

TEST(collection_builder, refuses_too_many_rows_and_too_few) {
  auto builder = collection_builder::create(2, 1, element_type::f32);
  ASSERT_TRUE(builder);
  const std::vector<float> three{1, 2, 3};
  EXPECT_FALSE(builder->append({three.data(), 3, 1}));
  EXPECT_FALSE(builder->append({three.data(), 1, 3}));
  ASSERT_TRUE(builder->append({three.data(), 1, 1}));
  const auto finished = std::move(*builder).finish({}, nullptr);
  ASSERT_FALSE(finished);
  EXPECT_THAT(finished.error().message, HasSubstr("only 1 of 2 rows"));
}

TEST(collection_builder, refuses_stored_rows_that_no_builder_wrote) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), 1e30f, 1e-30f}) {
    auto builder = collection_builder::create(2, 1, element_type::f32);
    ASSERT_TRUE(builder);
    const float rows[] = {1.0f, bad};
    std::memcpy(builder->storage().data(), rows, sizeof rows);
    const auto accepted = builder->accept_storage();
    ASSERT_FALSE(accepted);
    EXPECT_THAT(accepted.error().message, HasSubstr("row 1"));
  }
}

} // namespace
} // namespace engram
