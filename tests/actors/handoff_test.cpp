#include "engram/actors/handoff.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using engram::handoff;

/// A consumer's bell: rung from any thread, heard by one.
class bell {
public:
  void ring() {
    {
      const std::lock_guard lock{mutex_};
      rung_ = true;
    }
    heard_.notify_one();
  }
  void wait() {
    std::unique_lock lock{mutex_};
    heard_.wait(lock, [this] { return rung_; });
    rung_ = false;
  }

private:
  std::mutex mutex_;
  std::condition_variable heard_;
  bool rung_ = false;
};

TEST(handoff, hands_over_everything_in_the_order_of_arrival) {
  handoff<int> box;
  box.push(1);
  std::vector more{2, 3};
  box.push_all(more);
  box.push(4);
  EXPECT_EQ(box.size(), 4u);
  std::vector out{99};
  box.take(out);
  EXPECT_EQ(out, (std::vector{1, 2, 3, 4}));
  EXPECT_EQ(box.size(), 0u);
  box.take(out);
  EXPECT_TRUE(out.empty());
}

TEST(handoff, rings_for_the_first_piece_of_work_only) {
  handoff<int> box;
  int rings = 0;
  box.attach([&] { ++rings; });
  EXPECT_EQ(rings, 0);
  box.push(1);
  box.push(2);
  EXPECT_EQ(rings, 1);
  std::vector<int> out;
  box.take(out);
  box.push(3);
  EXPECT_EQ(rings, 2);
}

TEST(handoff, a_load_of_work_rings_once_and_leaves_nothing_with_the_giver) {
  handoff<int> box;
  int rings = 0;
  box.attach([&] { ++rings; });
  std::vector load{1, 2, 3};
  box.push_all(load);
  EXPECT_TRUE(load.empty());
  EXPECT_EQ(rings, 1);
  load = {4, 5};
  box.push_all(load);
  EXPECT_TRUE(load.empty());
  EXPECT_EQ(rings, 1);
  EXPECT_EQ(box.size(), 5u);
}

TEST(handoff, an_empty_load_does_not_ring) {
  handoff<int> box;
  int rings = 0;
  box.attach([&] { ++rings; });
  std::vector<int> nothing;
  box.push_all(nothing);
  EXPECT_EQ(rings, 0);
}

TEST(handoff, who_attaches_is_told_of_what_already_waits) {
  handoff<int> box;
  box.push(1);
  int first = 0, second = 0;
  box.attach([&] { ++first; });
  EXPECT_EQ(first, 1);
  box.attach([&] { ++second; }); // the first died without taking it
  EXPECT_EQ(second, 1);
  EXPECT_EQ(first, 1);
}

TEST(handoff, work_left_while_nobody_listens_is_kept) {
  handoff<int> box;
  int rings = 0;
  box.attach([&] { ++rings; });
  box.detach();
  box.push(1);
  EXPECT_EQ(rings, 0);
  EXPECT_EQ(box.size(), 1u);
}

TEST(handoff, carries_work_that_can_only_be_moved) {
  handoff<std::unique_ptr<int>> box;
  box.push(std::make_unique<int>(1));
  std::vector<std::unique_ptr<int>> load;
  load.push_back(std::make_unique<int>(2));
  box.push_all(load);
  std::vector<std::unique_ptr<int>> out;
  box.take(out);
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(*out[0] + *out[1], 3);
}

constexpr std::size_t producers = 4;
constexpr std::size_t pieces = 20'000;

struct piece {
  std::size_t producer;
  std::size_t number;
};

/// Pushes one producer's pieces, some alone and some in loads.
void produce(handoff<piece>& box, std::size_t producer) {
  std::vector<piece> load;
  for (std::size_t number = 0; number < pieces; ++number) {
    if (number % 7 < 4) {
      load.push_back({producer, number});
    } else {
      box.push_all(load);
      box.push({producer, number});
    }
  }
  box.push_all(load);
}

/// Checks that every piece comes once, and each producer's in its order.
class inspector {
public:
  void look_at(const std::vector<piece>& out) {
    for (const auto& [producer, number] : out) {
      in_order_ = in_order_ && number == next_[producer];
      ++next_[producer];
      ++seen_;
    }
  }
  std::size_t seen() const { return seen_; }
  bool in_order() const { return in_order_; }

private:
  std::vector<std::size_t> next_ = std::vector<std::size_t>(producers);
  std::size_t seen_ = 0;
  bool in_order_ = true;
};

std::vector<std::jthread> start_producers(handoff<piece>& box) {
  std::vector<std::jthread> threads;
  for (std::size_t p = 0; p < producers; ++p)
    threads.emplace_back([&box, p] { produce(box, p); });
  return threads;
}

TEST(handoff, a_consumer_that_only_wakes_when_rung_misses_nothing) {
  handoff<piece> box;
  bell doorbell;
  box.attach([&] { doorbell.ring(); });
  const auto threads = start_producers(box);
  inspector all;
  std::vector<piece> out;
  while (all.seen() < producers * pieces) { // hangs if a ring is lost
    doorbell.wait();
    box.take(out);
    all.look_at(out);
  }
  EXPECT_EQ(all.seen(), producers * pieces);
  EXPECT_TRUE(all.in_order());
}

TEST(handoff, consumers_that_die_with_work_waiting_are_followed_by_others_that_get_it) {
  handoff<piece> box;
  const auto threads = start_producers(box);
  inspector all;
  std::vector<piece> out;
  int lives = 0;
  while (all.seen() < producers * pieces) {
    // Each life hears one ring and every third dies without answering it.
    auto doorbell = std::make_unique<bell>();
    box.attach([listener = doorbell.get()] { listener->ring(); });
    doorbell->wait();
    if (++lives % 3 != 0) {
      box.take(out);
      all.look_at(out);
    }
    box.detach(); // from here on the bell may go: nobody rings it any more
  }
  EXPECT_EQ(all.seen(), producers * pieces);
  EXPECT_TRUE(all.in_order());
}

TEST(handoff, the_doorbell_is_silent_once_detach_has_returned) {
  handoff<piece> box;
  std::atomic<bool> listening{false};
  std::atomic<int> false_alarms{0};
  auto threads = start_producers(box);
  std::vector<piece> out;
  for (int i = 0; i < 2'000; ++i) {
    listening = true;
    box.attach([&] {
      if (!listening) ++false_alarms;
    });
    box.take(out);
    box.detach();
    listening = false;
  }
  threads.clear();
  EXPECT_EQ(false_alarms, 0);
}

} // namespace
