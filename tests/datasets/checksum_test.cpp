#include "engram/datasets/checksum.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace engram {
namespace {

std::vector<std::byte> random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> out(count);
  for (std::byte& b : out)
    b = static_cast<std::byte>(random());
  return out;
}

std::uint64_t sum_of(std::span<const std::byte> bytes) {
  checksum sum;
  sum.add(bytes);
  return sum.value();
}

TEST(checksum, does_not_depend_on_the_pieces) {
  const auto bytes = random_bytes(1000, 1);
  const auto whole = sum_of(bytes);
  for (const std::size_t piece : {1, 7, 31, 32, 33, 64, 999}) {
    checksum sum;
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      sum.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    EXPECT_EQ(sum.value(), whole) << piece;
  }
}

TEST(checksum, notices_every_single_flipped_bit) {
  auto bytes = random_bytes(200, 2);
  const auto right = sum_of(bytes);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_NE(sum_of(bytes), right) << bit;
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

TEST(checksum, tells_lengths_of_zeros_apart) {
  const std::vector<std::byte> zeros(300);
  std::set<std::uint64_t> sums;
  for (std::size_t length = 0; length <= zeros.size(); ++length)
    sums.insert(sum_of(std::span(zeros).first(length)));
  EXPECT_EQ(sums.size(), zeros.size() + 1);
}

TEST(checksum, notices_swapped_words_and_blocks) {
  auto bytes = random_bytes(128, 3);
  const auto right = sum_of(bytes);
  for (const std::size_t size : {8, 32}) {
    auto swapped = bytes;
    std::swap_ranges(swapped.begin(), swapped.begin() + static_cast<std::ptrdiff_t>(size),
                     swapped.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_NE(sum_of(swapped), right) << size;
  }
}

TEST(checksum, is_the_one_that_files_were_written_with) {
  const char text[] = "the stored format does not change between releases";
  EXPECT_EQ(sum_of(std::as_bytes(std::span(text, sizeof text - 1))), 0xc648790d98ed1c30u);
}

} // namespace
} // namespace engram
