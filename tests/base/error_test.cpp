#include "engram/base/error.hpp"

#include <gtest/gtest.h>

#include <set>

namespace {

using namespace engram;

TEST(ec, every_code_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (int c = 0; c <= int(ec::last_); ++c)
    names.insert(to_string(static_cast<ec>(c)));
  EXPECT_EQ(names.size(), std::size_t(ec::last_) + 1);
}

TEST(result, holds_either_the_value_or_the_error) {
  result<int> good{3};
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, 3);
  result<int> bad{error{ec::not_found, "no row 9"}};
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, ec::not_found);
  result<void> fine;
  EXPECT_TRUE(fine);
  result<void> wrong{error{ec::internal, "x"}};
  EXPECT_FALSE(wrong);
}

} // namespace
