#include "engram/replay/wording.hpp"

#include <gtest/gtest.h>

namespace {

using namespace engram::replay;

TEST(wording, groups_digits) {
  EXPECT_EQ(count_text(0), "0");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(count_text(1'000), "1,000");
  EXPECT_EQ(count_text(12'345'678), "12,345,678");
}

TEST(wording, gives_latencies_three_digits_and_the_unit_that_fits) {
  EXPECT_EQ(latency_text(0), "0");
  EXPECT_EQ(latency_text(870), "0.87 us");
  EXPECT_EQ(latency_text(87'000), "87.0 us");
  EXPECT_EQ(latency_text(870'000), "870 us");
  EXPECT_EQ(latency_text(999'700), "1.00 ms");
  EXPECT_EQ(latency_text(12'345'000), "12.3 ms");
  EXPECT_EQ(latency_text(1'200'000'000), "1.20 s");
}

TEST(wording, gives_rates_a_decimal_while_it_matters) {
  EXPECT_EQ(rate_text(0.04), "0.0");
  EXPECT_EQ(rate_text(1234.56), "1,234.6");
  EXPECT_EQ(rate_text(9'999.99), "10,000");
  EXPECT_EQ(rate_text(123'456.7), "123,457");
}

TEST(wording, writes_shares_as_percentages) {
  EXPECT_EQ(percent_text(0), "0 %");
  EXPECT_EQ(percent_text(0.005), "0.5 %");
  EXPECT_EQ(percent_text(1), "100 %");
  EXPECT_EQ(percent_text(0.0001234), "0.0123 %");
}

} // namespace
