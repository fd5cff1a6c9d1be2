#include "engram/kernels/top_k.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace {

using namespace engram;

std::vector<hit> sorted_best(std::vector<hit> hits, std::size_t k) {
  std::sort(hits.begin(), hits.end(), ranks_before);
  hits.resize(std::min(k, hits.size()));
  return hits;
}

// Few distinct scores, so that ties decide.
std::vector<hit> tied_hits(std::size_t count, unsigned seed_number) {
  std::mt19937 generator(seed_number);
  std::uniform_int_distribution<int> score(0, 9);
  std::vector<hit> hits;
  for (std::uint32_t id = 0; id < count; ++id)
    hits.push_back({id, static_cast<float>(score(generator))});
  std::shuffle(hits.begin(), hits.end(), generator);
  return hits;
}

class top_k_of : public testing::TestWithParam<std::size_t> {};

TEST_P(top_k_of, keeps_what_sorting_would_keep) {
  const std::size_t k = GetParam();
  for (std::size_t count : {0, 1, 9, 10, 11, 500, 5000}) {
    const auto hits = tied_hits(count, static_cast<unsigned>(count));
    top_k best(k);
    for (const hit& h : hits)
      best.offer(h);
    EXPECT_EQ(best.full(), count >= k);
    EXPECT_EQ(best.take_sorted(), sorted_best(hits, k)) << count;
  }
}

TEST_P(top_k_of, does_not_depend_on_the_order_or_on_the_cut) {
  const std::size_t k = GetParam();
  auto hits = tied_hits(3000, 7);
  const auto expected = sorted_best(hits, k);
  std::mt19937 generator(8);
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::shuffle(hits.begin(), hits.end(), generator);
    top_k whole(k);
    top_k parts[3] = {top_k(k), top_k(k), top_k(k)};
    for (std::size_t i = 0; i < hits.size(); ++i)
      parts[i % 3].offer(hits[i]);
    for (const top_k& part : parts)
      whole.merge(part);
    EXPECT_EQ(whole.take_sorted(), expected);
  }
}

TEST_P(top_k_of, never_lowers_its_threshold_and_never_refuses_what_belongs) {
  const std::size_t k = GetParam();
  const auto hits = tied_hits(2000, 9);
  top_k best(k);
  float threshold = best.threshold();
  for (std::size_t i = 0; i < hits.size(); ++i) {
    best.offer(hits[i]);
    ASSERT_GE(best.threshold(), threshold);
    threshold = best.threshold();
    if (k > 0 && best.full()) {
      const auto kept = sorted_best({hits.begin(), hits.begin() + static_cast<long>(i) + 1}, k);
      ASSERT_LE(threshold, kept.back().score);
    }
  }
}

TEST_P(top_k_of, is_empty_again_after_it_was_taken) {
  top_k best(GetParam());
  for (const hit& h : tied_hits(100, 3))
    best.offer(h);
  best.take_sorted();
  best.offer({5, 1.0f});
  EXPECT_EQ(best.take_sorted(), sorted_best({{5, 1.0f}}, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(sizes, top_k_of, testing::Values(0, 1, 2, 10, 100, 2048),
                         testing::PrintToStringParamName());

} // namespace
