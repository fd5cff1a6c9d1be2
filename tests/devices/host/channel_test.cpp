#include "engram/devices/host/channel.hpp"

#include <gtest/gtest.h>

namespace engram {
namespace {

constexpr std::uint32_t slots = host_segment::most_slots;

TEST(host_queue, gives_numbers_back_in_order_also_where_its_counters_wrap) {
  host_queue queue;
  queue.written = queue.read = 0xffff'ffc0;
  for (std::uint32_t round = 0; round < 3; ++round) {
    for (std::uint32_t number = 0; number < slots; ++number)
      queue.push(number);
    for (std::uint32_t number = 0; number < slots; ++number)
      EXPECT_EQ(queue.pop(slots), number);
    EXPECT_TRUE(queue.empty());
    EXPECT_FALSE(queue.is_broken());
  }
}

TEST(host_queue, skips_what_is_no_slot) {
  host_queue queue;
  queue.push(slots);
  queue.push(3);
  EXPECT_EQ(queue.pop(slots), std::nullopt);
  EXPECT_EQ(queue.pop(slots), 3u);
}

TEST(host_queue, is_broken_once_more_is_unread_than_has_a_place) {
  host_queue queue;
  queue.written = host_queue::places;
  EXPECT_FALSE(queue.is_broken());
  for (const std::uint32_t wild : {host_queue::places + 1, 1u << 31, 0xffff'ffffu}) {
    queue.written = wild;
    EXPECT_TRUE(queue.is_broken()) << wild;
    EXPECT_FALSE(queue.empty()) << "somebody has to look";
    EXPECT_EQ(queue.pop(slots), std::nullopt);
    EXPECT_EQ(queue.read, 0u);
  }
}

} // namespace
} // namespace engram
