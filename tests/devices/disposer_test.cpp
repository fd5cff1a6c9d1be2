#include "engram/devices/disposer.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace engram {
namespace {

using namespace std::chrono_literals;

/// Says on which thread it died.
struct mortal {
  std::atomic<std::thread::id>* died_on;
  explicit mortal(std::atomic<std::thread::id>& where) : died_on(&where) {}
  ~mortal() { *died_on = std::this_thread::get_id(); }
};

TEST(disposer, destroys_on_a_thread_of_its_own) {
  std::atomic<std::thread::id> died_on{};
  disposer away;
  auto thing = away.shared(std::make_unique<mortal>(died_on));
  auto second_owner = thing;
  thing.reset();
  EXPECT_EQ(died_on.load(), std::thread::id{}) << "somebody still has it";
  EXPECT_FALSE(away.is_busy());
  second_owner.reset();
  EXPECT_TRUE(away.wait_until([&] { return died_on.load() != std::thread::id{}; }, 10s));
  EXPECT_NE(died_on.load(), std::this_thread::get_id());
}

TEST(disposer, waits_no_longer_than_it_is_told) {
  disposer away;
  EXPECT_FALSE(away.wait_until([] { return false; }, 5ms));
  EXPECT_TRUE(away.wait_until([] { return true; }, 0ms));
}

TEST(disposer, destroys_what_is_left_before_it_stops) {
  std::atomic<std::thread::id> early{}, late{};
  std::shared_ptr<mortal> survivor;
  {
    disposer away;
    away.shared(std::make_unique<mortal>(early)).reset();
    survivor = away.shared(std::make_unique<mortal>(late));
    away.stop();
    EXPECT_NE(early.load(), std::thread::id{});
    survivor.reset(); // nobody else will
    EXPECT_EQ(late.load(), std::this_thread::get_id());
  }
}

} // namespace
} // namespace engram
