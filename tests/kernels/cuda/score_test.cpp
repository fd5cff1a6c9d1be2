// The GPU's scores are the CPU's, to the bit.

#include "engram/kernels/cuda/score.hpp"
#include "engram/tests/kernels/cuda/on_device.hpp"

#include <numeric>

namespace engram::test {
namespace {

constexpr std::size_t awkward_dims[] = {1, 7, 8, 31, 32, 33, 384, 768, 1000, 1536, 8192};

class small_gpu_scores : public testing::TestWithParam<std::size_t> {
protected:
  static constexpr std::size_t rows = 129;
  static constexpr std::size_t queries = 3;

  small_gpu_scores() : targets(random_matrix(rows, GetParam(), 1)) {
    std::ranges::fill(targets.row(5), 0.0f);
    for (float& x : targets.row(6))
      x = -x; // nothing special, but not what the generator gave
  }

  matrix targets;
  query_set asked{random_matrix(queries, GetParam(), 2)};
};

TEST_P(small_gpu_scores, of_listed_rows_have_the_bits_of_the_scalar_kernel) {
  const on_device<float> d_queries(padded(asked.queries));
  const on_device<float> d_norms(asked.inverse_norms);
  std::vector<row_id> ids(rows);
  std::iota(ids.rbegin(), ids.rend(), 0u);
  for (const auto type : all_types) {
    const stored_rows stored(targets, type);
    const resident_rows resident(stored);
    for (std::uint32_t q = 0; q < queries; ++q) {
      std::vector<cuda::score_pair> pairs;
      for (const auto id : ids)
        pairs.push_back({q, id});
      const on_device<cuda::score_pair> d_pairs(pairs);
      const on_device<float> out(rows);
      ASSERT_EQ(cuda::score(resident.view(), d_queries.get(), d_norms.get(), d_pairs.get(), rows,
                            out.get(), nullptr),
                cudaSuccess);
      std::vector<float> expected(rows);
      cosine_kernels_for(isa::scalar)
          .score(asked.queries.row(q), asked.inverse_norms[q], stored.view(), ids, expected);
      EXPECT_EQ(out.fetch(), expected) << name_of(type) << " query " << q;
      for (std::size_t i = 0; i < rows; ++i)
        EXPECT_NEAR(expected[i], reference_cosine(asked.queries.row(q), stored.row(ids[i])),
                    score_tolerance(targets.dim));
    }
  }
}

TEST_P(small_gpu_scores, of_targets_in_the_request_have_the_bits_of_the_scalar_kernel) {
  const on_device<float> d_queries(padded(asked.queries));
  const on_device<float> d_norms(asked.inverse_norms);
  const on_device<float> d_targets(padded(targets));
  for (std::uint32_t q = 0; q < queries; ++q) {
    const on_device<std::uint32_t> query_of(std::vector<std::uint32_t>(rows, q));
    const on_device<float> out(rows);
    ASSERT_EQ(cuda::similarity(d_queries.get(), d_norms.get(), targets.dim, d_targets.get(),
                               query_of.get(), rows, out.get(), nullptr),
              cudaSuccess);
    std::vector<float> expected(rows);
    cosine_kernels_for(isa::scalar)
        .similarity(asked.queries.row(q), asked.inverse_norms[q], targets.view(), expected);
    EXPECT_EQ(out.fetch(), expected) << "query " << q;
    for (std::size_t i = 0; i < rows; ++i)
      EXPECT_NEAR(expected[i], reference_cosine(asked.queries.row(q), targets.row(i)),
                  score_tolerance(targets.dim));
  }
}

INSTANTIATE_TEST_SUITE_P(dims, small_gpu_scores, testing::ValuesIn(awkward_dims));

} // namespace
} // namespace engram::test
