#include "engram/actors/policy/wakefulness.hpp"

#include <gtest/gtest.h>

namespace engram {
namespace {

using namespace std::chrono_literals;

constexpr time_point start{1h};

TEST(wakefulness, begins_with_the_first_work_and_ends_when_patience_does) {
  wakefulness waking{100us};
  EXPECT_TRUE(waking.is_on());
  EXPECT_TRUE(waking.stir(start)) << "nobody keeps awake yet";
  EXPECT_FALSE(waking.stir(start + 10us)) << "somebody does";
  EXPECT_TRUE(waking.goes_on(start + 110us));
  EXPECT_FALSE(waking.goes_on(start + 111us));
  EXPECT_TRUE(waking.stir(start + 200us)) << "it has to begin anew";
}

TEST(wakefulness, is_prolonged_by_more_work) {
  wakefulness waking{100us};
  waking.stir(start);
  waking.stir(start + 90us);
  EXPECT_TRUE(waking.goes_on(start + 180us));
  EXPECT_FALSE(waking.goes_on(start + 191us));
}

TEST(wakefulness, without_patience_is_off) {
  EXPECT_FALSE(wakefulness{duration::zero()}.is_on());
}

} // namespace
} // namespace engram
