#include "engram/base/latency_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace {

using engram::latency_histogram;

TEST(latency_histogram, is_zero_while_empty) {
  latency_histogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.min(), 0u);
  EXPECT_EQ(h.max(), 0u);
  EXPECT_EQ(h.quantile(0.99), 0u);
}

TEST(latency_histogram, keeps_small_values_exactly) {
  latency_histogram h;
  for (std::uint64_t v = 0; v < 128; ++v)
    h.record(v);
  EXPECT_EQ(h.quantile(0.5), 63u);
  EXPECT_EQ(h.quantile(1.0), 127u);
  EXPECT_EQ(h.quantile(0.0), 0u);
}

TEST(latency_histogram, quantiles_are_within_one_part_in_64_of_the_sorted_values) {
  std::mt19937_64 random{7};
  std::lognormal_distribution<double> shape{11.0, 2.0};
  latency_histogram h;
  std::vector<std::uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(shape(random)));
    h.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (double q : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * double(values.size()))) - 1;
    const auto exact = double(values[rank]);
    EXPECT_GE(double(h.quantile(q)), exact) << q;
    EXPECT_LE(double(h.quantile(q)), exact * (1 + 1.0 / 64) + 1) << q;
  }
  EXPECT_EQ(h.max(), values.back());
  EXPECT_EQ(h.min(), values.front());
}

TEST(latency_histogram, merging_equals_recording_in_one) {
  latency_histogram a, b, both;
  for (std::uint64_t v : {5u, 500u, 50'000u}) {
    a.record(v);
    both.record(v);
  }
  for (std::uint64_t v : {7u, 7'000'000u}) {
    b.record(v, 3);
    both.record(v, 3);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.mean(), both.mean());
  for (double q : {0.1, 0.5, 0.9, 1.0})
    EXPECT_EQ(a.quantile(q), both.quantile(q));
}

TEST(latency_histogram, values_beyond_the_range_count_as_the_longest) {
  latency_histogram h;
  h.record(~std::uint64_t{0});
  EXPECT_EQ(h.count(), 1u);
  EXPECT_EQ(h.quantile(0.5), (std::uint64_t{1} << 40) - 1);
}

TEST(latency_histogram, bucket_bounds_ascend_and_cover_every_value) {
  latency_histogram h;
  for (std::uint64_t v = 1; v < (std::uint64_t{1} << 39); v = v * 3 / 2 + 1)
    h.record(v);
  std::uint64_t last = 0, total = 0;
  h.for_each_bucket([&](std::uint64_t bound, std::uint64_t count) {
    EXPECT_GT(bound, last);
    last = bound;
    total += count;
  });
  EXPECT_EQ(total, h.count());
}

} // namespace
