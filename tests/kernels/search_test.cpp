#include "vectors.hpp"

namespace {

using namespace engram;
using namespace engram::test;

class search_by : public each_isa {
protected:
  answers run(const query_block& block, const row_view& rows, std::size_t k,
              std::vector<std::size_t> cuts = {}) const {
    return search(GetParam(), block, rows, k, std::move(cuts));
  }
};
INSTANTIATE_TEST_SUITE_P(isas, search_by, testing::ValuesIn(supported_isas()), isa_name);

answers scalar_search(const query_block& block, const row_view& rows, std::size_t k) {
  return search(isa::scalar, block, rows, k);
}

void expect_near_float64(const answers& found, const query_set& queries, const stored_rows& rows,
                         std::size_t k) {
  const double tolerance = score_tolerance(rows.dim);
  for (std::size_t q = 0; q < found.size(); ++q) {
    std::vector<double> truth(rows.rows);
    for (std::size_t r = 0; r < rows.rows; ++r)
      truth[r] = reference_cosine(queries.queries.row(q), rows.row(r));
    std::vector<double> descending = truth;
    std::sort(descending.rbegin(), descending.rend());
    ASSERT_EQ(found[q].size(), std::min(k, rows.rows));
    for (std::size_t i = 0; i < found[q].size(); ++i) {
      ASSERT_NEAR(found[q][i].score, truth[found[q][i].id], tolerance);
      // Whoever stands at place i is no worse than the true i-th by more than two tolerances.
      ASSERT_GE(truth[found[q][i].id], descending[i] - 2 * tolerance);
    }
  }
}

TEST_P(search_by, equals_the_scalar_variant_at_every_number_of_rows_and_queries) {
  for (element_type type : all_types)
    for (std::size_t dim : {33, 64})
      for (std::size_t n : {0, 1, 31, 32, 33, 47, 48, 49, 1000}) {
        const stored_rows rows(random_matrix(n, dim, 1), type);
        const query_set queries(random_matrix(65, dim, 2));
        const auto expected = scalar_search(queries.block(), rows.view(), 10);
        for (std::size_t q : {1, 2, 3, 5, 8, 9, 16, 17, 32, 33, 64, 65}) {
          const auto found = run(queries.block(0, q), rows.view(), 10);
          ASSERT_EQ(found, answers(expected.begin(), expected.begin() + static_cast<long>(q)))
              << name_of(type) << " dim " << dim << " n " << n << " q " << q;
        }
      }
}

TEST_P(search_by, equals_the_scalar_variant_at_every_dim_and_is_near_float64) {
  for (element_type type : all_types)
    for (std::size_t dim : {1, 7, 31, 32, 33, 384, 768, 1000, 1536}) {
      const stored_rows rows(random_matrix(150, dim, 3), type);
      const query_set queries(random_matrix(17, dim, 4));
      const auto expected = scalar_search(queries.block(), rows.view(), 10);
      const auto found = run(queries.block(), rows.view(), 10);
      ASSERT_EQ(found, expected) << name_of(type) << " dim " << dim;
      ASSERT_EQ(run(queries.block(0, 3), rows.view(), 10),
                answers(expected.begin(), expected.begin() + 3));
      if (type == element_type::f32 || dim == 384) expect_near_float64(found, queries, rows, 10);
    }
}

TEST_P(search_by, equals_the_scalar_variant_for_every_k) {
  const stored_rows rows(random_matrix(3000, 48, 5), element_type::f32);
  const query_set queries(random_matrix(20, 48, 6));
  for (std::size_t k : {0, 1, 2, 10, 100, 2048, 4000}) {
    const auto expected = scalar_search(queries.block(), rows.view(), k);
    ASSERT_EQ(run(queries.block(), rows.view(), k), expected) << k;
    ASSERT_EQ(expected[0].size(), std::min<std::size_t>(k, 3000));
  }
}

TEST_P(search_by, queries_with_different_k_share_a_call) {
  const stored_rows rows(random_matrix(500, 40, 7), element_type::f32);
  const query_set queries(random_matrix(18, 40, 8));
  std::vector<top_k> best;
  for (std::size_t q = 0; q < 18; ++q)
    best.emplace_back(q * 7);
  search_scratch scratch;
  kernels().search_rows(queries.block(), rows.view(), 0, 500, best, scratch);
  for (std::size_t q = 0; q < 18; ++q)
    EXPECT_EQ(best[q].take_sorted(), scalar_search(queries.block(q, 1), rows.view(), q * 7)[0]);
}

TEST_P(search_by, a_query_gets_the_same_bits_alone_and_among_256) {
  const stored_rows rows(random_matrix(2000, 96, 9), element_type::bf16);
  const query_set queries(random_matrix(256, 96, 10));
  const auto together = run(queries.block(), rows.view(), 10);
  for (std::size_t q = 0; q < 256; q += 5)
    ASSERT_EQ(run(queries.block(q, 1), rows.view(), 10)[0], together[q]) << q;
  for (std::size_t first : {0, 100, 201}) {
    const auto some = run(queries.block(first, 55), rows.view(), 10);
    for (std::size_t q = 0; q < 55; ++q)
      ASSERT_EQ(some[q], together[first + q]);
  }
}

TEST_P(search_by, the_cut_of_the_rows_into_calls_does_not_show) {
  const stored_rows rows(random_matrix(1000, 33, 11), element_type::f32);
  const query_set queries(random_matrix(40, 33, 12));
  for (std::size_t q : {1, 40}) {
    const auto whole = run(queries.block(0, q), rows.view(), 10);
    EXPECT_EQ(run(queries.block(0, q), rows.view(), 10, {1, 2, 49, 50, 117, 500, 500, 999}), whole);
    EXPECT_EQ(run(queries.block(0, q), rows.view(), 10, {997}), whole);
  }
}

TEST_P(search_by, blocks_searched_apart_and_merged_give_the_whole) {
  const stored_rows rows(random_matrix(900, 33, 13), element_type::f16);
  const query_set queries(random_matrix(20, 33, 14));
  const auto whole = run(queries.block(), rows.view(), 25);
  std::vector<top_k> merged(20, top_k(25));
  search_scratch scratch; // shared by the calls, as a thread would
  for (std::size_t first : {600, 0, 301, 300}) {
    const std::size_t last = first == 600 ? 900 : first == 0 ? 300 : first == 301 ? 600 : 301;
    std::vector<top_k> part(20, top_k(25));
    kernels().search_rows(queries.block(), rows.view(), first, last, part, scratch);
    for (std::size_t q = 0; q < 20; ++q)
      merged[q].merge(part[q]);
  }
  for (std::size_t q = 0; q < 20; ++q)
    EXPECT_EQ(merged[q].take_sorted(), whole[q]);
}

TEST_P(search_by, one_scratch_serves_calls_of_any_shape) {
  search_scratch scratch;
  for (std::size_t dim : {65, 3, 200})
    for (std::size_t q : {40, 1, 12}) {
      const stored_rows rows(random_matrix(200, dim, 15), element_type::f16);
      const query_set queries(random_matrix(q, dim, 16));
      std::vector<top_k> best(q, top_k(5));
      kernels().search_rows(queries.block(), rows.view(), 0, 200, best, scratch);
      const auto expected = scalar_search(queries.block(), rows.view(), 5);
      for (std::size_t i = 0; i < q; ++i)
        ASSERT_EQ(best[i].take_sorted(), expected[i]);
    }
}

TEST_P(search_by, equal_rows_rank_by_id) {
  matrix same(700, 50);
  const auto one = random_matrix(1, 50, 17);
  for (std::size_t r = 0; r < same.rows; ++r)
    std::copy(one.data.begin(), one.data.end(), same.row(r).begin());
  const stored_rows rows(same, element_type::f32);
  const query_set queries(random_matrix(20, 50, 18));
  for (std::size_t q : {1, 20})
    for (const auto& hits : run(queries.block(0, q), rows.view(), 100)) {
      ASSERT_EQ(hits.size(), 100u);
      for (row_id i = 0; i < 100; ++i)
        ASSERT_EQ(hits[i].id, i);
    }
}

TEST_P(search_by, zero_rows_and_zero_queries_score_zero_and_rank_by_id) {
  matrix m = random_matrix(300, 40, 19);
  for (std::size_t r = 0; r < m.rows; r += 3)
    std::fill(m.row(r).begin(), m.row(r).end(), 0.0f);
  matrix q = random_matrix(20, 40, 20);
  std::fill(q.row(4).begin(), q.row(4).end(), 0.0f);
  const stored_rows rows(m, element_type::f32);
  const query_set queries(q);
  for (std::size_t k : {10, 250}) {
    const auto found = run(queries.block(), rows.view(), k);
    EXPECT_EQ(found, scalar_search(queries.block(), rows.view(), k));
    for (row_id i = 0; i < found[4].size(); ++i)
      EXPECT_EQ(found[4][i], (hit{i, 0.0f}));
  }
}

// Rows that differ from one another in the last bits of a few elements: the fast pass cannot rank
// them.
TEST_P(search_by, rows_that_differ_in_their_last_bits_rank_by_canonical_score) {
  std::mt19937 generator(21);
  std::uniform_int_distribution<int> step(-2, 2);
  const auto one = random_matrix(1, 300, 22);
  matrix m(2000, 300);
  for (std::size_t r = 0; r < m.rows; ++r)
    for (std::size_t i = 0; i < m.dim; ++i) {
      const auto bits = std::bit_cast<std::int32_t>(one.data[i]) + step(generator);
      m.row(r)[i] = std::bit_cast<float>(bits);
    }
  matrix near_one(24, 300);
  for (std::size_t q = 0; q < near_one.rows; ++q)
    std::copy(one.data.begin(), one.data.end(), near_one.row(q).begin());
  const stored_rows rows(m, element_type::f32);
  for (matrix queries_data : {random_matrix(24, 300, 23), near_one}) {
    const query_set queries(std::move(queries_data));
    for (std::size_t k : {1, 10, 300}) {
      const auto expected = scalar_search(queries.block(), rows.view(), k);
      EXPECT_EQ(run(queries.block(), rows.view(), k), expected);
      EXPECT_EQ(run(queries.block(0, 2), rows.view(), k),
                answers(expected.begin(), expected.begin() + 2));
    }
  }
}

// What int8 codes represent badly: one huge component in each row, or magnitudes over many decades.
TEST_P(search_by, rows_with_outliers_rank_by_canonical_score) {
  matrix spiked = random_matrix(600, 200, 30);
  for (std::size_t r = 0; r < spiked.rows; ++r)
    spiked.row(r)[r % 200] = r % 2 ? 300.0f : -40.0f;
  matrix wide = random_matrix(600, 200, 31);
  for (float& x : wide.data)
    x = x * x * x * x * x * x * x;
  const query_set ordinary_queries(random_matrix(33, 200, 32));
  const query_set wide_queries(wide);
  for (const matrix* m : {&spiked, &wide})
    for (const query_set* queries : {&ordinary_queries, &wide_queries}) {
      const stored_rows rows(*m, element_type::f32);
      const query_block some = queries->block(0, 33);
      const auto expected = scalar_search(some, rows.view(), 200);
      for (std::size_t k : {1, 10, 200}) {
        const auto found = run(some, rows.view(), k);
        for (std::size_t q = 0; q < found.size(); ++q)
          ASSERT_EQ(found[q], std::vector<hit>(expected[q].begin(),
                                               expected[q].begin() + static_cast<long>(k)));
      }
    }
}

// `blunt` loses all but its first component when it is coded as int8; `sharp` and `plain` lose
// nothing. By codes alone `plain` looks nearer to `blunt` than `sharp` does; in truth it is the
// other way round.
struct coding_trap {
  std::vector<float> blunt = std::vector<float>(31, 0.39f);
  std::vector<float> sharp = std::vector<float>(31, 127.0f);
  std::vector<float> plain = std::vector<float>(31, 127.0f);

  coding_trap() {
    blunt[0] = 100.0f;
    sharp[0] = 0.0f;
    plain[0] = 5.0f;
    for (std::size_t i = 1; i < 31; i += 2)
      plain[i] = -127.0f;
  }
};

matrix repeated(std::size_t rows, const std::vector<float>& row) {
  matrix m(rows, row.size());
  for (std::size_t r = 0; r < rows; ++r)
    std::copy(row.begin(), row.end(), m.row(r).begin());
  return m;
}

TEST_P(search_by, what_coding_takes_from_a_query_is_made_up_for) {
  const coding_trap trap;
  matrix m = repeated(300, trap.plain);
  for (std::size_t r = 290; r < 300; ++r)
    std::copy(trap.sharp.begin(), trap.sharp.end(), m.row(r).begin());
  const stored_rows rows(m, element_type::f32);
  const query_set queries(repeated(20, trap.blunt));
  for (const auto& hits : run(queries.block(), rows.view(), 10))
    for (const hit& h : hits)
      EXPECT_GE(h.id, 290u);
}

TEST_P(search_by, what_coding_takes_from_a_row_is_made_up_for) {
  const coding_trap trap;
  matrix m(300, 31);
  for (std::size_t r = 0; r < 300; ++r) {
    std::fill(m.row(r).begin(), m.row(r).end(), 0.0f);
    m.row(r)[0] = 127.0f;
    m.row(r)[1] = 5.0f;
  }
  for (std::size_t r = 290; r < 300; ++r)
    std::copy(trap.blunt.begin(), trap.blunt.end(), m.row(r).begin());
  const stored_rows rows(m, element_type::f32);
  const query_set queries(repeated(20, trap.sharp));
  for (const auto& hits : run(queries.block(), rows.view(), 10))
    for (const hit& h : hits)
      EXPECT_GE(h.id, 290u);
}

// Enough rows for a first pass that does not pay to be given up in the middle of a call.
TEST_P(search_by, changes_the_first_pass_without_a_trace) {
  matrix m = random_matrix(6000, 24, 33);
  for (std::size_t r = 1; r < m.rows; ++r) { // near-copies: no bound can tell them apart
    std::copy(m.row(0).begin(), m.row(0).end(), m.row(r).begin());
    m.row(r)[r % 24] += 1e-6f * static_cast<float>(r % 101);
  }
  const stored_rows rows(m, element_type::f32);
  const query_set queries(random_matrix(32, 24, 34));
  EXPECT_EQ(run(queries.block(), rows.view(), 10), scalar_search(queries.block(), rows.view(), 10));
}

TEST_P(search_by, a_row_that_equals_the_query_comes_first) {
  const auto m = random_matrix(3000, 90, 35);
  const stored_rows rows(m, element_type::f32);
  const query_set queries(m);
  const auto found = run(queries.block(500, 100), rows.view(), 1);
  for (std::size_t q = 0; q < 100; ++q)
    EXPECT_EQ(found[q][0].id, 500 + q);
}

// The sums of these rows cancel, so that the order of summation shows in every score.
TEST_P(search_by, cancelling_sums_rank_by_canonical_score) {
  matrix m = random_matrix(1500, 256, 24);
  for (std::size_t r = 0; r < m.rows; ++r)
    for (std::size_t i = 0; i < 128; ++i)
      m.row(r)[i + 128] = -m.row(r)[i] * (1 + 1e-6f);
  matrix q(17, 256);
  for (std::size_t r = 0; r < q.rows; ++r)
    for (float& x : q.row(r))
      x = 1.0f + 0.001f * static_cast<float>(r);
  const stored_rows rows(m, element_type::f32);
  const query_set queries(std::move(q));
  EXPECT_EQ(run(queries.block(), rows.view(), 10), scalar_search(queries.block(), rows.view(), 10));
}

TEST_P(search_by, ranks_opposite_rows_with_ties_at_minus_one) {
  const auto one = random_matrix(1, 77, 25);
  matrix m(400, 77);
  for (std::size_t r = 0; r < m.rows; ++r)
    for (std::size_t i = 0; i < m.dim; ++i)
      m.row(r)[i] = one.data[i] * -(1.0f + static_cast<float>(r % 13));
  matrix q(12, 77);
  for (std::size_t r = 0; r < q.rows; ++r)
    std::copy(one.data.begin(), one.data.end(), q.row(r).begin());
  const stored_rows rows(m, element_type::f32);
  const query_set queries(std::move(q));
  EXPECT_EQ(run(queries.block(), rows.view(), 30), scalar_search(queries.block(), rows.view(), 30));
}

TEST_P(search_by, norms_at_the_ends_of_the_allowed_range_are_fine) {
  matrix m = random_matrix(300, 64, 26);
  for (std::size_t r = 0; r < m.rows; ++r) {
    const float size = std::ldexp(1.0f, static_cast<int>(r % 73) - 36);
    for (float& x : m.row(r))
      x *= size;
  }
  matrix q = random_matrix(16, 64, 27);
  for (std::size_t r = 0; r < q.rows; ++r)
    for (float& x : q.row(r))
      x *= r % 2 ? 0x1p36f : 0x1p-36f;
  const stored_rows rows(m, element_type::f32);
  const query_set queries(std::move(q));
  const auto found = run(queries.block(), rows.view(), 20);
  EXPECT_EQ(found, scalar_search(queries.block(), rows.view(), 20));
  expect_near_float64(found, queries, rows, 20);
}

TEST_P(search_by, whole_numbers_rank_exactly) {
  const auto m = integer_matrix(800, 100, 28);
  const stored_rows rows(m, element_type::f16); // small whole numbers are exact in float16 too
  const stored_rows exact_rows(m, element_type::f32);
  const query_set queries(integer_matrix(16, 100, 29));
  EXPECT_EQ(run(queries.block(), rows.view(), 50), run(queries.block(), exact_rows.view(), 50));
}

} // namespace
