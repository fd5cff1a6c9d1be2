#include "engram/devices/alarm_clock.hpp"
#include "engram/tests/support/manual_clock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace engram {
namespace {

using ::testing::ElementsAre;
using namespace std::chrono_literals;

TEST(thread_alarm_clock, rings_in_the_order_of_time_and_then_of_making) {
  thread_alarm_clock clock;
  std::vector<int> rung; // by the clock's thread only, until `done`
  std::promise<void> done;
  const auto soon = clock.now() + 20ms;
  clock.call_at(soon + 2ms, [&] { done.set_value(); });
  clock.call_at(soon + 1ms, [&] { rung.push_back(3); });
  clock.call_at(soon, [&] { rung.push_back(1); });
  clock.call_at(soon, [&] { rung.push_back(2); });
  done.get_future().wait();
  EXPECT_THAT(rung, ElementsAre(1, 2, 3));
}

TEST(thread_alarm_clock, never_rings_early) {
  thread_alarm_clock clock;
  for (const auto wait : {0us, 100us, 3000us}) {
    std::promise<time_point> rung;
    const auto when = clock.now() + wait;
    clock.call_at(when, [&] { rung.set_value(clock.now()); });
    EXPECT_GE(rung.get_future().get(), when);
  }
}

TEST(thread_alarm_clock, rings_what_is_already_due) {
  thread_alarm_clock clock;
  std::promise<void> rung;
  clock.call_at(clock.now() - 1h, [&] { rung.set_value(); });
  EXPECT_EQ(rung.get_future().wait_for(60s), std::future_status::ready);
}

TEST(thread_alarm_clock, takes_alarms_from_alarms) {
  thread_alarm_clock clock;
  std::promise<void> rung;
  clock.call_at(clock.now(), [&] { clock.call_at(clock.now(), [&] { rung.set_value(); }); });
  EXPECT_EQ(rung.get_future().wait_for(60s), std::future_status::ready);
}

TEST(thread_alarm_clock, rings_an_earlier_alarm_that_comes_later) {
  thread_alarm_clock clock;
  std::promise<void> rung;
  clock.call_at(clock.now() + 1h, [] {});
  std::this_thread::sleep_for(5ms); // let it go to sleep until then
  clock.call_at(clock.now() + 1ms, [&] { rung.set_value(); });
  EXPECT_EQ(rung.get_future().wait_for(60s), std::future_status::ready);
}

TEST(thread_alarm_clock, drops_what_waits_when_it_goes) {
  const auto witness = std::make_shared<int>(0);
  {
    thread_alarm_clock clock;
    clock.call_at(clock.now() + 1h, [witness] { ++*witness; });
    EXPECT_EQ(witness.use_count(), 2);
  }
  EXPECT_EQ(witness.use_count(), 1);
  EXPECT_EQ(*witness, 0);
}

TEST(thread_alarm_clock, rings_every_alarm_of_many_threads_once) {
  constexpr int threads = 4, alarms = 500;
  std::vector<std::atomic<int>> rung(threads * alarms);
  std::atomic<int> total{0};
  {
    thread_alarm_clock clock;
    std::vector<std::jthread> callers;
    for (int t = 0; t < threads; ++t)
      callers.emplace_back([&, t] {
        for (int i = 0; i < alarms; ++i)
          clock.call_at(clock.now() + std::chrono::microseconds(i % 7), [&, t, i] {
            ++rung[static_cast<std::size_t>(t * alarms + i)];
            ++total;
            total.notify_one();
          });
      });
    callers.clear();
    for (int seen; (seen = total) < threads * alarms;)
      total.wait(seen);
  }
  for (const auto& count : rung)
    EXPECT_EQ(count, 1);
}

TEST(manual_alarm_clock, rings_what_is_due_at_its_time_and_no_more) {
  test::manual_alarm_clock clock;
  const auto start = clock.now();
  std::vector<duration> rung;
  const auto note = [&] { rung.push_back(clock.now() - start); };
  clock.call_at(start + 3ms, note);
  clock.call_at(start + 1ms, [&] {
    note();
    clock.call_at(clock.now() + 1ms, note);
  });
  clock.advance(2ms);
  EXPECT_THAT(rung, ElementsAre(1ms, 2ms));
  EXPECT_EQ(clock.pending(), 1u);
  EXPECT_EQ(clock.now(), start + 2ms);
}

} // namespace
} // namespace engram
