#include "engram/kernels/float16.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {

using namespace engram;

// What IEEE 754 says a binary16 pattern means, computed the slow way.
double f16_meaning(unsigned bits) {
  const int exponent = static_cast<int>(bits >> 10 & 0x1f);
  const int fraction = static_cast<int>(bits & 0x3ff);
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

bool f16_is_finite(unsigned bits) {
  return (bits >> 10 & 0x1f) != 0x1f;
}

TEST(float16, every_pattern_widens_to_what_it_means) {
  for (unsigned bits = 0; bits <= 0xffff; ++bits) {
    const float value = f16_to_f32(static_cast<std::uint16_t>(bits));
    if (f16_is_finite(bits)) {
      ASSERT_EQ(value, f16_meaning(bits)) << std::hex << bits;
      ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0) << std::hex << bits;
    } else if ((bits & 0x3ff) == 0) {
      ASSERT_EQ(value, bits & 0x8000 ? -INFINITY : INFINITY);
    } else {
      ASSERT_TRUE(std::isnan(value)) << std::hex << bits;
    }
  }
}

TEST(float16, every_pattern_survives_the_way_there_and_back) {
  for (unsigned bits = 0; bits <= 0xffff; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float from_half = f16_to_f32(half);
    const float from_brain = bf16_to_f32(half);
    if (std::isnan(from_half))
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(from_half)))) << std::hex << bits;
    else
      ASSERT_EQ(f32_to_f16(from_half), half) << std::hex << bits;
    if (std::isnan(from_brain))
      ASSERT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(from_brain)))) << std::hex << bits;
    else
      ASSERT_EQ(f32_to_bf16(from_brain), half) << std::hex << bits;
  }
}

// Between every two neighbours: the middle goes to the even one, anything off it to the nearer one.
template <class Widen, class Narrow>
void expect_nearest_even(unsigned largest_finite, Widen widen_one, Narrow narrow_one) {
  for (unsigned bits = 0; bits < largest_finite; ++bits) {
    const double below = widen_one(static_cast<std::uint16_t>(bits));
    const double above = widen_one(static_cast<std::uint16_t>(bits + 1));
    const double exact_middle = (below + above) / 2;
    const float middle = static_cast<float>(exact_middle);
    if (middle != exact_middle) continue; // float32 denormals have no middle
    ASSERT_EQ(narrow_one(middle), bits % 2 == 0 ? bits : bits + 1) << std::hex << bits;
    ASSERT_EQ(narrow_one(std::nextafter(middle, 0.0f)), bits) << std::hex << bits;
    ASSERT_EQ(narrow_one(std::nextafter(middle, INFINITY)), bits + 1) << std::hex << bits;
    ASSERT_EQ(narrow_one(-middle), 0x8000u + (bits % 2 == 0 ? bits : bits + 1));
  }
}

TEST(float16, rounds_to_the_nearest_and_ties_to_even) {
  expect_nearest_even(0x7bff, f16_to_f32, f32_to_f16);
  expect_nearest_even(0x7f7f, bf16_to_f32, f32_to_bf16);
}

TEST(float16, what_is_past_the_range_becomes_infinite) {
  EXPECT_EQ(f32_to_f16(65504.0f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_f16(INFINITY), 0x7c00);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(f32_to_bf16(-INFINITY), 0xff80);
}

TEST(float16, a_nan_stays_a_nan) {
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::nanf("")))));
  // A NaN whose payload lies only in the bits that are cut off.
  const float low_payload = std::bit_cast<float>(0x7f80'0001u);
  EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(low_payload))));
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(low_payload))));
}

TEST(float16, bulk_conversion_equals_the_conversion_of_each) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(37);
  for (float& x : values)
    x = normal(generator);

  std::vector<std::uint16_t> narrowed(values.size());
  std::vector<float> widened(values.size());
  narrow(element_type::f16, values, narrowed.data());
  widen(element_type::f16, narrowed.data(), widened);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(narrowed[i], f32_to_f16(values[i]));
    EXPECT_EQ(widened[i], f16_to_f32(narrowed[i]));
  }
  narrow(element_type::bf16, values, narrowed.data());
  widen(element_type::bf16, narrowed.data(), widened);
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(narrowed[i], f32_to_bf16(values[i]));
    EXPECT_EQ(widened[i], bf16_to_f32(narrowed[i]));
  }
  std::vector<float> same(values.size());
  narrow(element_type::f32, values, widened.data());
  widen(element_type::f32, widened.data(), same);
  EXPECT_EQ(same, values);
}

} // namespace
