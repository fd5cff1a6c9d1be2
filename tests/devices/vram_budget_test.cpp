#include "engram/devices/vram_budget.hpp"

#include <gtest/gtest.h>

namespace engram {
namespace {

constexpr auto piece = vram_budget::piece_bytes;

TEST(vram_budget, counts_whole_pieces_and_gets_them_back) {
  vram_budget budget(10 * piece);
  {
    const auto one = budget.reserve(1);
    ASSERT_TRUE(one);
    EXPECT_EQ(one->bytes(), piece);
    const auto more = budget.reserve(3 * piece + 1);
    ASSERT_TRUE(more);
    EXPECT_EQ(budget.used(), 5 * piece);
  }
  EXPECT_EQ(budget.used(), 0u);
}

TEST(vram_budget, gives_all_or_nothing) {
  vram_budget budget(4 * piece);
  const auto most = budget.reserve(3 * piece);
  ASSERT_TRUE(most);
  EXPECT_FALSE(budget.reserve(piece + 1));
  EXPECT_EQ(budget.used(), 3 * piece);
  EXPECT_TRUE(budget.reserve(piece));
  EXPECT_FALSE(budget.reserve(~std::uint64_t{0} - 2 * piece)) << "nothing wraps around";
}

TEST(vram_budget, nothing_takes_nothing) {
  vram_budget budget(0);
  EXPECT_TRUE(budget.reserve(0));
  EXPECT_FALSE(budget.reserve(1));
}

TEST(vram_budget, a_moved_reservation_is_given_back_once) {
  vram_budget budget(4 * piece);
  auto first = *budget.reserve(piece);
  auto second = std::move(first);
  vram_budget::reservation third;
  third = std::move(second);
  EXPECT_EQ(budget.used(), piece);
  third = vram_budget::reservation{};
  EXPECT_EQ(budget.used(), 0u);
}

} // namespace
} // namespace engram
