#include "engram/base/admission_gate.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace {

using engram::admission_gate;

TEST(admission_gate, refuses_past_its_limit_and_admits_again_after_a_leave) {
  admission_gate gate{2};
  EXPECT_EQ(gate.enter(), admission_gate::verdict::entered);
  EXPECT_EQ(gate.enter(), admission_gate::verdict::entered);
  EXPECT_EQ(gate.enter(), admission_gate::verdict::full);
  EXPECT_EQ(gate.in_flight(), 2u);
  gate.leave();
  EXPECT_EQ(gate.enter(), admission_gate::verdict::entered);
}

TEST(admission_gate, admits_nobody_once_closed) {
  admission_gate gate{2};
  EXPECT_EQ(gate.enter(), admission_gate::verdict::entered);
  gate.close();
  EXPECT_EQ(gate.enter(), admission_gate::verdict::closed);
  EXPECT_EQ(gate.in_flight(), 1u);
}

TEST(admission_gate, never_holds_more_than_its_limit_under_contention) {
  admission_gate gate{3};
  std::atomic<int> inside{0}, most{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        if (gate.enter() != admission_gate::verdict::entered) continue;
        const int now = ++inside;
        int seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        --inside;
        gate.leave();
      }
    });
  threads.clear();
  EXPECT_LE(most.load(), 3);
  EXPECT_EQ(gate.in_flight(), 0u);
}

} // namespace
