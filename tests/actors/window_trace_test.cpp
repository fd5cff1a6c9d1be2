// On a profiler's timeline a batch window is one range, from its first request until it closes.

#include "engram/tests/actors/virtual_pipeline.hpp"
#include "engram/tests/support/recording_sink.hpp"

namespace {

using namespace engram;
using namespace engram::test;
using lines = std::vector<std::string>;

/// One CPU, windows of 10 ms and 8 items, and a first batch (range 1) that keeps it busy for 100
/// ms.
struct window_trace : ::testing::Test {
  static pipeline_options options() {
    pipeline_options o;
    o.gpu.enabled = false;
    o.batching.max_wait_ms = 10;
    o.batching.target_batch_size = 8;
    return o;
  }
  recording_sink sink; // before the pipeline, which ends its ranges in it
  virtual_pipeline pipe{options(), 0};
  dataset_ptr data = pipe.publish();

  void SetUp() override {
    pipe.cpu().script = {{.latency = 100ms}};
    pipe.submit(pipe.search(data));
    pipe.run();
    ASSERT_EQ(sink.heard(), (lines{"begin window 1", "end 1"}));
  }
  /// What was heard after the first batch.
  lines heard() {
    auto all = sink.heard();
    return {all.begin() + 2, all.end()};
  }
};

TEST_F(window_trace, a_window_is_one_range_however_many_requests_it_holds) {
  pipe.submit(pipe.search(data));
  pipe.advance(4ms);
  pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_EQ(heard(), (lines{"begin window 2"}));
  pipe.advance(6ms);
  EXPECT_EQ(heard(), (lines{"begin window 2", "end 2"}));
  pipe.advance(200ms);
  EXPECT_EQ(heard(), (lines{"begin window 2", "end 2"}));
}

TEST_F(window_trace, windows_that_are_open_at_once_are_ranges_of_their_own) {
  const auto other = pipe.publish("others", 20, 4);
  pipe.submit(pipe.search(data));
  pipe.run();
  pipe.submit(pipe.search(other));
  pipe.run();
  EXPECT_EQ(heard(), (lines{"begin window 2", "begin window 3"}));
  pipe.advance(200ms);
  EXPECT_EQ(heard(), (lines{"begin window 2", "begin window 3", "end 2", "end 3"}));
}

TEST_F(window_trace, what_a_full_batch_leaves_over_opens_a_range_again) {
  pipe.submit(pipe.search(data, 5));
  pipe.submit(pipe.search(data, 5));
  pipe.run();
  EXPECT_EQ(heard(), (lines{"begin window 2", "begin window 3", "end 2"}));
  pipe.advance(200ms);
  EXPECT_EQ(heard(), (lines{"begin window 2", "begin window 3", "end 2", "end 3"}));
}

TEST_F(window_trace, a_window_whose_requests_expire_ends) {
  pipe.cpu().latency = 500ms;
  pipe.submit(pipe.search(data));
  pipe.advance(10ms); // the CPU may hold no third batch
  const auto r = pipe.submit(pipe.search(data), 20ms);
  pipe.advance(20ms);
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::deadline_exceeded);
  EXPECT_EQ(heard(), (lines{"begin window 2", "end 2", "begin window 3", "end 3"}));
}

TEST_F(window_trace, a_window_ends_with_the_pipeline) {
  pipe.submit(pipe.search(data));
  pipe.run();
  pipe.stop();
  pipe.core().fail_everything(ec::shutting_down, "the test ends it");
  EXPECT_EQ(heard(), (lines{"begin window 2", "end 2"}));
}

} // namespace
