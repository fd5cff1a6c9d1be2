// A batch that a GPU is late with is given to the CPU as well: whichever answers first is used, the
// other is cancelled or dropped, and all of it is counted.

#include "engram/tests/actors/virtual_pipeline.hpp"

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

struct hedging : ::testing::Test {
  virtual_pipeline pipe{eager_gpu()};
  dataset_ptr data = pipe.publish();

  double hedged() { return pipe.metric("engram_hedged_batches_total{device=\"gpu0\"}"); }
  double wins(const std::string& winner) {
    return pipe.metric("engram_hedge_wins_total{device=\"gpu0\",winner=\"" + winner + "\"}");
  }
  double losers(const std::string& fate) {
    return pipe.metric("engram_hedge_losers_total{device=\"gpu0\",fate=\"" + fate + "\"}");
  }
  /// Each hedged batch has one winner and one loser.
  void expect_counts(double cpu_wins, double gpu_wins, double cancelled, double dropped,
                     double failed) {
    EXPECT_EQ(hedged(), cpu_wins + gpu_wins);
    EXPECT_EQ(wins("cpu"), cpu_wins);
    EXPECT_EQ(wins("gpu"), gpu_wins);
    EXPECT_EQ(losers("cancelled"), cancelled);
    EXPECT_EQ(losers("dropped"), dropped);
    EXPECT_EQ(losers("failed"), failed);
  }
};

TEST_F(hedging, a_batch_in_time_is_not_hedged) {
  pipe.gpu().latency = 49ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(1s);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_TRUE(pipe.cpu().seen.empty());
  expect_counts(0, 0, 0, 0, 0);
}

TEST_F(hedging, the_cpu_wins_and_the_late_answer_is_dropped) {
  pipe.gpu().script = {{.latency = 200ms}};
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(51ms);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.only_answer(r).trace.device, "cpu");
  pipe.advance(1s);
  EXPECT_EQ(pipe.requests[r].answers.size(), 1u);
  expect_counts(1, 0, 0, 1, 0);
}

TEST_F(hedging, the_cpu_wins_over_a_gpu_that_hangs) {
  pipe.gpu().script = {{.what = act::kind::hang}};
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(2s);
  EXPECT_TRUE(pipe.is_right(r));
  expect_counts(1, 0, 0, 0, 1);
}

TEST_F(hedging, the_cpu_wins_over_a_gpu_that_fails_too_late) {
  pipe.gpu().script = {{.what = act::kind::fail, .latency = 60ms}};
  pipe.cpu().latency = 30ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(1s);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.cpu().seen.size(), 1u) << "the failure asks for no second run";
  expect_counts(1, 0, 0, 0, 1);
}

TEST_F(hedging, the_gpu_wins_and_the_answer_of_the_cpu_is_dropped) {
  pipe.gpu().script = {{.latency = 60ms}};
  pipe.cpu().latency = 30ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(1s);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.only_answer(r).trace.device, "gpu0");
  EXPECT_EQ(pipe.requests[r].answers.size(), 1u);
  expect_counts(0, 1, 0, 1, 0);
}

TEST_F(hedging, the_gpu_wins_and_what_waits_for_a_busy_cpu_is_never_run) {
  // The first batch keeps the CPU's worker busy from 50 to 80 ms. The second is hedged at 60 ms,
  // waits behind it, and is answered by the GPU at 70 ms.
  pipe.gpu().script = {{.what = act::kind::hang}, {.latency = 60ms}};
  pipe.cpu().on_run = [&] {
    pipe.cpu().on_run = nullptr;
    pipe.advance(30ms);
  };
  const auto first = pipe.submit(pipe.search(data));
  pipe.advance(10ms);
  const auto second = pipe.submit(pipe.search(data));
  pipe.advance(2s);
  EXPECT_TRUE(pipe.is_right(first));
  EXPECT_TRUE(pipe.is_right(second));
  EXPECT_EQ(pipe.only_answer(second).trace.device, "gpu0");
  EXPECT_EQ(pipe.cpu().seen.size(), 1u) << "the CPU never began the second";
  EXPECT_EQ(pipe.core().ledger.runs_on(0), 0u) << "and its place is free again";
  expect_counts(1, 1, 1, 0, 1);
}

TEST_F(hedging, the_gpu_wins_while_the_cpu_has_no_room) {
  // The CPU takes two batches at a time; the third is not even given to it.
  pipe.cpu().latency = 30ms;
  for (int i = 0; i < 3; ++i)
    pipe.gpu().script.push_back({.latency = 60ms});
  for (int i = 0; i < 3; ++i) {
    pipe.submit(pipe.search(data));
    pipe.run();
  }
  pipe.advance(1s);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(pipe.is_right(i));
    EXPECT_EQ(pipe.only_answer(i).trace.device, "gpu0");
  }
  EXPECT_EQ(pipe.cpu().seen.size(), 2u);
  expect_counts(0, 3, 1, 2, 0);
}

TEST_F(hedging, a_router_that_dies_meanwhile_forgets_nothing) {
  pipe.gpu().script = {{.latency = 70ms}};
  pipe.cpu().latency = 30ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(55ms);
  ASSERT_EQ(hedged(), 1);
  pipe.arm("actor.router=1*exit");
  pipe.advance(1s);
  EXPECT_TRUE(pipe.is_right(r));
  expect_counts(0, 1, 0, 1, 0);
}

TEST(struck_batch, is_not_run_when_its_requests_gave_up_before_the_worker_was_free) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().on_run = [&] {
    pipe.cpu().on_run = nullptr;
    pipe.advance(100ms);
  };
  const auto busy = pipe.submit(pipe.search(data), 1s);
  std::optional<std::size_t> hurried;
  pipe.clock.call_at(pipe.clock.now() + 1ms,
                     [&] { hurried = pipe.submit(pipe.search(data), 50ms); });
  pipe.advance(1s);
  EXPECT_TRUE(pipe.is_right(busy));
  EXPECT_EQ(pipe.only_answer(*hurried).failure.code, ec::deadline_exceeded);
  EXPECT_EQ(pipe.cpu().seen.size(), 1u);
  EXPECT_EQ(pipe.core().ledger.runs_on(0), 0u);
}

} // namespace
