// The GPU finds the rows that the CPU finds, with the same bits, by both passes.

#include "engram/kernels/cuda/filter.hpp"
#include "engram/kernels/cuda/search.hpp"
#include "engram/kernels/cuda/select.hpp"
#include "engram/tests/kernels/cuda/on_device.hpp"

#include <string_view>

namespace engram::test {
namespace {

using cuda::search_pass;

isa fastest() {
  return supported_isas().back();
}

/// Searches on the GPU. A query that the filter could not prove has no value.
std::vector<std::optional<std::vector<hit>>> search_on_gpu(const resident_rows& rows,
                                                           const query_set& asked,
                                                           const std::vector<std::uint32_t>& k,
                                                           search_pass pass) {
  const auto count = asked.queries.rows;
  const auto max_k = *std::ranges::max_element(k);
  const on_device<float> queries(padded(asked.queries));
  const on_device<float> norms(asked.inverse_norms);
  const on_device<std::uint32_t> wanted(k);
  const on_device<hit> hits(count * max_k);
  const on_device<std::uint32_t> counts(count);
  const on_device<std::byte> workspace(
      cuda::search_workspace_bytes(rows.view(), count, max_k, pass));
  EXPECT_EQ(cuda::search(rows.view(),
                         {.queries = queries.get(),
                          .inverse_norms = norms.get(),
                          .k = wanted.get(),
                          .count = count,
                          .max_k = max_k,
                          .hits = hits.get(),
                          .hit_counts = counts.get()},
                         pass, workspace.get(), nullptr),
            cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  const auto all = hits.fetch();
  const auto found = counts.fetch();
  std::vector<std::optional<std::vector<hit>>> out(count);
  for (std::size_t q = 0; q < count; ++q)
    if (found[q] != cuda::overflowed)
      out[q].emplace(all.data() + q * max_k, all.data() + q * max_k + found[q]);
  return out;
}

/// Compares both passes with the CPU. Returns how many queries the filter left unproven.
std::size_t expect_same(const stored_rows& stored, const query_set& asked,
                        const std::vector<std::uint32_t>& k) {
  const resident_rows resident(stored);
  std::size_t unproven = 0;
  for (const auto pass : {search_pass::scan, search_pass::filter}) {
    const auto got = search_on_gpu(resident, asked, k, pass);
    for (std::size_t q = 0; q < asked.queries.rows; ++q) {
      if (!got[q]) {
        EXPECT_EQ(pass, search_pass::filter) << "a scan always has room";
        ++unproven;
        continue;
      }
      const auto expected = search(fastest(), asked.block(q, 1), stored.view(), k[q]).front();
      EXPECT_EQ(*got[q], expected)
          << (pass == search_pass::scan ? "scan" : "filter") << " query " << q << " of "
          << asked.queries.rows << " k " << k[q] << " rows " << stored.rows << " dim " << stored.dim
          << ' ' << name_of(stored.type);
      if (testing::Test::HasFailure()) return unproven;
    }
  }
  return unproven;
}

std::vector<std::uint32_t> mixed_k(std::size_t count) {
  constexpr std::uint32_t some[] = {1, 10, 100, 3, 2048};
  std::vector<std::uint32_t> k(count);
  for (std::size_t q = 0; q < count; ++q)
    k[q] = some[q % std::size(some)];
  return k;
}

struct shape {
  std::size_t rows, dim, queries;
};

void PrintTo(const shape& s, std::ostream* out) {
  *out << s.rows << "x" << s.dim << " q" << s.queries;
}

class gpu_search : public testing::TestWithParam<shape> {};

TEST_P(gpu_search, equals_the_cpu_to_the_bit) {
  const auto [rows, dim, queries] = GetParam();
  const auto data = random_matrix(rows, dim, 3);
  const query_set asked(random_matrix(queries, dim, 4));
  for (const auto type : all_types) {
    expect_same(stored_rows(data, type), asked, mixed_k(queries));
    expect_same(stored_rows(data, type), asked, std::vector<std::uint32_t>(queries, 10));
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(small, gpu_search,
                         testing::Values(shape{1, 1, 1}, shape{1, 768, 9}, shape{31, 7, 2},
                                         shape{32, 384, 5}, shape{33, 768, 8}, shape{33, 33, 33},
                                         shape{1000, 64, 12}, shape{2500, 100, 65}));
INSTANTIATE_TEST_SUITE_P(medium, gpu_search,
                         testing::Values(shape{5000, 1, 5}, shape{5000, 7, 9},
                                         shape{10240, 768, 64}, shape{20000, 1000, 40},
                                         shape{20001, 1536, 100}, shape{70000, 384, 300},
                                         shape{9000, 8192, 7}));

TEST(gpu_search, of_a_million_rows_equals_the_cpu) {
  const auto data = random_matrix(1'000'000, 96, 5);
  const query_set asked(random_matrix(9, 96, 6));
  const stored_rows stored(data, element_type::bf16);
  EXPECT_EQ(expect_same(stored, asked, {1, 10, 100, 2048, 10, 10, 10, 10, 10}), 0u);
}

TEST(gpu_search, small_breaks_ties_by_id) {
  auto data = integer_matrix(3000, 16, 7);
  for (std::size_t r = 0; r < data.rows; ++r) // a few directions, over and over
    std::ranges::copy(data.row(r % 5), data.row(r).begin());
  const query_set asked(integer_matrix(6, 16, 8));
  for (const auto type : all_types)
    expect_same(stored_rows(data, type), asked, {1, 10, 100, 700, 2048, 10});
}

TEST(gpu_search, small_of_equal_rows_and_zero_vectors) {
  matrix data(1500, 40);
  std::ranges::fill(data.data, 0.25f);
  for (std::size_t r = 700; r < 720; ++r)
    std::ranges::fill(data.row(r), 0.0f);
  matrix queries(6, 40);
  std::ranges::fill(queries.row(0), 1.0f);
  std::ranges::fill(queries.row(2), -1.0f); // queries 1, 3, 4, 5 are zero vectors
  const query_set asked(std::move(queries));
  for (const auto type : all_types)
    expect_same(stored_rows(data, type), asked, {10, 10, 2048, 1, 100, 7});
}

TEST(gpu_search, small_with_a_filter_that_cannot_prove_says_so) {
  // 200 groups within the filter's error of each other, with room for a quarter of them.
  auto data = random_matrix(3200, 768, 9);
  for (std::size_t r = 1; r < data.rows; ++r) {
    std::ranges::copy(data.row(0), data.row(r).begin());
    data.row(r)[r % 768] += 1e-3f;
  }
  const query_set asked(random_matrix(8, 768, 10));
  const stored_rows stored(data, element_type::f32);
  EXPECT_EQ(expect_same(stored, asked, std::vector<std::uint32_t>(8, 1)), 8u);
}

TEST(gpu_search, finds_what_rounding_ranks_wrongly) {
  // Rows so close to each other that bfloat16 cannot tell which is nearer; few enough to fit.
  auto data = random_matrix(40'000, 768, 11);
  const query_set asked(random_matrix(16, 768, 12));
  std::mt19937 random(13);
  std::normal_distribution<float> noise(0.0f, 2e-3f);
  for (std::size_t r = 0; r < data.rows; r += 1000)
    for (std::size_t i = 0; i < data.dim; ++i)
      data.row(r)[i] = asked.queries.row(r / 1000 % 16)[i] + noise(random);
  for (const auto type : all_types)
    EXPECT_EQ(expect_same(stored_rows(data, type), asked, std::vector<std::uint32_t>(16, 2)), 0u);
}

TEST(gpu_search, small_scores_are_within_the_tolerance_of_float64) {
  for (const std::size_t dim : {1u, 7u, 384u, 768u, 1000u, 1536u}) {
    const auto data = random_matrix(500, dim, 16);
    const query_set asked(random_matrix(6, dim, 17));
    for (const auto type : all_types) {
      const stored_rows stored(data, type);
      const resident_rows resident(stored);
      for (const auto pass : {search_pass::scan, search_pass::filter}) {
        const auto got = search_on_gpu(resident, asked, std::vector<std::uint32_t>(6, 20), pass);
        for (std::size_t q = 0; q < 6; ++q) {
          ASSERT_TRUE(got[q]);
          for (const auto& found : *got[q])
            EXPECT_NEAR(found.score, reference_cosine(asked.queries.row(q), stored.row(found.id)),
                        score_tolerance(dim))
                << name_of(type) << " dim " << dim;
        }
      }
    }
  }
}

TEST(gpu_search, of_one_query_is_the_same_in_any_batch) {
  const auto data = random_matrix(30'000, 384, 14);
  const resident_rows resident(stored_rows(data, element_type::bf16));
  const auto queries = random_matrix(260, 384, 15);
  const auto all = search_on_gpu(resident, query_set(queries), std::vector<std::uint32_t>(260, 10),
                                 search_pass::filter);
  for (const std::size_t q : {0u, 7u, 100u, 259u}) {
    matrix one(1, 384);
    std::ranges::copy(queries.row(q), one.row(0).begin());
    for (const auto pass : {search_pass::scan, search_pass::filter})
      EXPECT_EQ(search_on_gpu(resident, query_set(one), {10}, pass).front(), all[q]);
  }
}

} // namespace
} // namespace engram::test
