// When a window closes, who goes first, and how oversized requests are cut and joined.

#include "engram/tests/actors/virtual_pipeline.hpp"

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

/// One CPU, windows of 10 ms and 8 items, and a first batch that keeps it busy, so that what comes
/// after is held.
struct batching : ::testing::Test {
  static pipeline_options options() {
    pipeline_options o;
    o.gpu.enabled = false;
    o.batching.max_wait_ms = 10;
    o.batching.target_batch_size = 8;
    return o;
  }
  virtual_pipeline pipe{options(), 0};
  dataset_ptr data = pipe.publish();

  void occupy(duration d = 100ms) {
    pipe.cpu().script = {{.latency = d}};
    pipe.submit(pipe.search(data));
    pipe.run();
    ASSERT_EQ(batches(), 1u);
  }
  std::size_t batches() { return pipe.cpu().seen.size(); }
};

TEST_F(batching, a_request_is_not_held_while_nothing_else_is_in_flight) {
  pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_EQ(batches(), 1u);
}

TEST_F(batching, requests_that_come_together_leave_together) {
  for (int i = 0; i < 5; ++i)
    pipe.submit(pipe.search(data, 1, std::size_t(i)));
  pipe.run();
  ASSERT_EQ(batches(), 1u);
  EXPECT_EQ(pipe.cpu().seen[0]->item_count(), 5u);
  for (std::size_t i = 0; i < 5; ++i)
    EXPECT_TRUE(pipe.is_right(i));
}

TEST_F(batching, an_underfull_window_closes_when_its_oldest_request_has_waited_long_enough) {
  occupy();
  pipe.submit(pipe.search(data));
  pipe.advance(4ms);
  pipe.submit(pipe.search(data));
  pipe.advance(5999us);
  EXPECT_EQ(batches(), 1u);
  pipe.advance(1us);
  ASSERT_EQ(batches(), 2u);
  EXPECT_EQ(pipe.cpu().seen[1]->item_count(), 2u);
}

TEST_F(batching, a_full_window_closes_at_once) {
  occupy();
  pipe.submit(pipe.search(data, 5));
  pipe.run();
  EXPECT_EQ(batches(), 1u);
  pipe.submit(pipe.search(data, 3));
  pipe.run();
  EXPECT_EQ(batches(), 2u);
}

TEST_F(batching, a_window_closes_before_the_earliest_deadline_is_at_risk) {
  occupy();
  pipe.submit(pipe.search(data), 1s);
  pipe.submit(pipe.search(data), 6ms); // margin: 1 ms and twice the predicted time
  pipe.advance(4ms);
  EXPECT_EQ(batches(), 1u);
  pipe.advance(1ms);
  EXPECT_EQ(batches(), 2u);
}

TEST_F(batching, a_window_closes_when_the_last_batch_in_flight_is_done) {
  occupy(3ms);
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(2ms);
  EXPECT_FALSE(pipe.answered(r));
  pipe.advance(1ms);
  EXPECT_TRUE(pipe.answered(r)) << "nothing else is in flight any more";
}

TEST_F(batching, different_datasets_do_not_share_a_window) {
  const auto other = pipe.publish("others", 20, 4);
  occupy();
  pipe.cpu().latency = 100ms;
  pipe.submit(pipe.search(data));
  pipe.submit(pipe.search(other));
  pipe.advance(10ms);
  EXPECT_EQ(batches(), 2u) << "there is room for two batches on the CPU";
  pipe.advance(200ms);
  ASSERT_EQ(batches(), 3u);
  EXPECT_NE(pipe.cpu().seen[1]->data, pipe.cpu().seen[2]->data);
}

TEST_F(batching, a_new_version_does_not_share_a_window_with_the_old_one) {
  occupy();
  const auto a = pipe.submit(pipe.search(data));
  const auto newer = pipe.publish("vectors", 30, 8);
  const auto b = pipe.submit(pipe.search(newer));
  pipe.advance(300ms);
  EXPECT_TRUE(pipe.is_right(a));
  EXPECT_TRUE(pipe.is_right(b));
  EXPECT_EQ(pipe.only_answer(a).trace.dataset_version, 1u);
  EXPECT_EQ(pipe.only_answer(b).trace.dataset_version, 2u);
}

TEST_F(batching, an_oversized_request_is_cut_and_its_answers_are_joined) {
  const auto r = pipe.submit(pipe.search(data, 21));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(r));
  ASSERT_EQ(batches(), 3u);
  EXPECT_EQ(pipe.cpu().seen[0]->item_count(), 8u);
  EXPECT_EQ(pipe.cpu().seen[2]->item_count(), 5u);
  EXPECT_EQ(pipe.only_answer(r).output.counts.size(), 21u);
}

TEST_F(batching, one_failed_part_fails_the_request_once) {
  for (int i = 0; i < 2; ++i)
    pipe.cpu().script.push_back({});
  for (int i = 0; i < 4; ++i)
    pipe.cpu().script.push_back({.what = act::kind::fail});
  const auto r = pipe.submit(pipe.search(data, 24));
  pipe.run();
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::internal);
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

TEST_F(batching, the_earliest_deadline_goes_first_in_a_backlog) {
  occupy();
  pipe.cpu().latency = 1ms;
  pipe.submit(pipe.search(data)); // the second of the two batches that the CPU may hold
  pipe.advance(10ms);
  const auto relaxed = pipe.submit(pipe.search(data, 8), 2s);
  const auto urgent = pipe.submit(pipe.search(data, 8, 9), 500ms);
  pipe.advance(200ms);
  EXPECT_LT(pipe.requests[urgent].answered_at, pipe.requests[relaxed].answered_at);
}

TEST_F(batching, higher_priority_goes_first_among_equal_deadlines_but_waiting_outweighs_it) {
  occupy(500ms);
  pipe.cpu().latency = 1ms;
  pipe.submit(pipe.search(data));
  pipe.advance(10ms);
  const auto low = pipe.submit(pipe.search(data, 8), 1000ms, 0);
  pipe.run();
  const auto high = pipe.submit(pipe.search(data, 8), 1000ms, 4);
  pipe.advance(300ms);
  // Same deadline as the two above, and low's 300 ms of waiting count for more than 4 steps.
  const auto fresh = pipe.submit(pipe.search(data, 8), 700ms, 4);
  pipe.advance(400ms);
  EXPECT_LT(pipe.requests[high].answered_at, pipe.requests[low].answered_at);
  EXPECT_LT(pipe.requests[low].answered_at, pipe.requests[fresh].answered_at);
}

TEST_F(batching, requests_whose_deadline_passes_in_a_backlog_are_told_so_in_time) {
  occupy(500ms);
  pipe.cpu().latency = 500ms;
  pipe.submit(pipe.search(data));
  pipe.advance(10ms);
  const auto r = pipe.submit(pipe.search(data), 50ms);
  pipe.advance(49ms);
  EXPECT_FALSE(pipe.answered(r));
  pipe.advance(1ms);
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::deadline_exceeded);
}

TEST_F(batching, a_cancelled_request_leaves_its_window) {
  occupy();
  const auto gone = pipe.submit(pipe.search(data));
  const auto stays = pipe.submit(pipe.search(data));
  pipe.run();
  pipe.requests[gone].handle->fail(ec::cancelled, "taken back");
  pipe.advance(10ms);
  ASSERT_EQ(batches(), 2u);
  EXPECT_EQ(pipe.cpu().seen[1]->item_count(), 1u);
  pipe.advance(100ms);
  EXPECT_TRUE(pipe.is_right(stays));
}

TEST_F(batching, a_window_follows_a_reload) {
  occupy();
  pipe.submit(pipe.search(data));
  pipe.run();
  auto changed = options();
  changed.batching.max_wait_ms = 2;
  pipe.core().set_options(changed);
  pipe.core().capacity_freed.ring();
  pipe.advance(2ms);
  EXPECT_EQ(batches(), 2u);
}

} // namespace
