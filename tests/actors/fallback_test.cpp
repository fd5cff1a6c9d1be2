// What the pipeline does when a device fails, is late, is wrong, or loses its worker.

#include "engram/tests/actors/virtual_pipeline.hpp"

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

TEST(fallback, a_gpu_that_works_answers_by_itself) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(r));
  const auto& trace = pipe.only_answer(r).trace;
  EXPECT_EQ(trace.device, "gpu0");
  EXPECT_EQ(trace.reason, route_reason::gpu);
  EXPECT_EQ(trace.attempts, 1u);
  EXPECT_FALSE(trace.fell_back);
}

class fallback_on_error : public ::testing::TestWithParam<fault_class> {};

TEST_P(fallback_on_error, the_cpu_answers_what_the_gpu_failed) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = GetParam()}};
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(r));
  const auto& trace = pipe.only_answer(r).trace;
  EXPECT_EQ(trace.device, "cpu");
  EXPECT_EQ(trace.reason, route_reason::gpu) << "the reason is that of the first choice";
  EXPECT_EQ(trace.attempts, 2u);
  EXPECT_TRUE(trace.fell_back);
  EXPECT_EQ(trace.cause, to_string(GetParam()));
}

INSTANTIATE_TEST_SUITE_P(every_class, fallback_on_error,
                         ::testing::Values(fault_class::oom, fault_class::transient,
                                           fault_class::sticky, fault_class::no_device),
                         [](const auto& each) { return std::string{to_string(each.param)}; });

TEST(fallback, out_of_memory_splits_the_batch_and_retries_once_on_the_gpu) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = fault_class::oom}};
  const auto a = pipe.submit(pipe.search(data, 3));
  const auto b = pipe.submit(pipe.search(data, 2, 10));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(a));
  EXPECT_TRUE(pipe.is_right(b));
  ASSERT_EQ(pipe.gpu().seen.size(), 3u);
  EXPECT_EQ(pipe.gpu().seen[1]->item_count(), 2u);
  EXPECT_EQ(pipe.gpu().seen[2]->item_count(), 3u);
  EXPECT_FALSE(pipe.only_answer(a).trace.fell_back);
  EXPECT_TRUE(pipe.cpu().seen.empty());
}

TEST(fallback, a_half_that_is_out_of_memory_again_goes_to_the_cpu) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = fault_class::oom},
                       {.what = act::kind::fail, .fault = fault_class::oom},
                       {}};
  const auto r = pipe.submit(pipe.search(data, 4));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.gpu().seen.size(), 3u);
  EXPECT_EQ(pipe.cpu().seen.size(), 1u);
  EXPECT_TRUE(pipe.only_answer(r).trace.fell_back);
}

TEST(fallback, a_late_batch_is_answered_by_the_cpu_at_its_time_limit) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(49ms);
  EXPECT_FALSE(pipe.answered(r));
  pipe.advance(2ms);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.only_answer(r).trace.cause, "time_limit");
  EXPECT_TRUE(pipe.only_answer(r).trace.fell_back);
}

TEST(fallback, the_late_gpu_is_used_if_it_is_still_faster_than_the_cpu) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.latency = 60ms}};
  pipe.cpu().latency = 30ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(70ms);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.only_answer(r).trace.device, "gpu0");
  EXPECT_FALSE(pipe.only_answer(r).trace.fell_back);
  pipe.advance(1s);
  EXPECT_EQ(pipe.requests[r].answers.size(), 1u) << "the CPU's answer is dropped";
  EXPECT_EQ(pipe.core().desk.late_answers, 1u);
}

TEST(fallback, a_gpu_worker_that_dies_mid_batch_costs_no_request) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.arm("gpu0.worker=1*exit");
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(5ms);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.only_answer(r).trace.cause, "worker_lost");
  EXPECT_EQ(pipe.core().workers[1]->restarts, 1u);
  const auto next = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_EQ(pipe.only_answer(next).trace.device, "gpu0") << "the new worker serves";
}

TEST(fallback, a_cpu_worker_that_dies_mid_batch_runs_it_again) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.arm("cpu.worker=2*exit");
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(20ms);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.core().workers[0]->restarts, 2u);
}

TEST(fallback, a_quick_batch_survives_the_death_of_its_lane_too) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().quick = true;
  pipe.arm("cpu.quick_worker=1*exit");
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(20ms);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.core().workers[0]->restarts, 1u);
}

TEST(fallback, a_cpu_that_keeps_failing_becomes_one_clear_error) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  for (int i = 0; i < 9; ++i)
    pipe.cpu().script.push_back({.what = act::kind::fail});
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::internal);
  EXPECT_NE(pipe.only_answer(r).failure.message.find("as scripted"), std::string::npos);
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

TEST(fallback, a_hung_gpu_is_disabled_and_its_place_is_free_again) {
  auto options = eager_gpu();
  options.gpu.streams = 1;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}, {.what = act::kind::hang}};
  const auto a = pipe.submit(pipe.search(data));
  pipe.run();
  const auto b = pipe.submit(pipe.search(data));
  pipe.advance(2s);
  EXPECT_TRUE(pipe.is_right(a));
  EXPECT_TRUE(pipe.is_right(b));
  EXPECT_NE(pipe.breaker(), breaker_state::closed);
  EXPECT_TRUE(pipe.core().ledger.runs().empty() || pipe.breaker() == breaker_state::half_open);
}

TEST(deadline, a_request_that_no_device_answers_fails_when_its_deadline_passes) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().script = {{.what = act::kind::hang}};
  const auto r = pipe.submit(pipe.search(data), 200ms);
  pipe.advance(199ms);
  EXPECT_FALSE(pipe.answered(r));
  pipe.advance(1ms);
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::deadline_exceeded);
  EXPECT_EQ(pipe.requests[r].answered_at, pipe.requests[r].deadline);
}

TEST(cancel, a_request_that_is_taken_back_is_answered_once) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().latency = 5ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_TRUE(pipe.requests[r].handle->fail(ec::cancelled, "taken back"));
  EXPECT_FALSE(pipe.requests[r].handle->fail(ec::cancelled, "taken back"));
  pipe.advance(10ms);
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::cancelled);
}

} // namespace
