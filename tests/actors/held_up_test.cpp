// Actors that are held up, and timers that are lost or late: requests are answered all the same.

#include "engram/tests/actors/virtual_pipeline.hpp"

#include <gmock/gmock.h>

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

// -- handlers --

TEST(actor_sites, are_there_for_every_actor_and_every_lane) {
  virtual_pipeline pipe;
  std::vector<std::string> names;
  for (const auto& site : pipe.core().faults->list())
    names.push_back(site.name + '=' + site.tasks.to_string());
  EXPECT_THAT(names, ::testing::IsSupersetOf(
                         {"actor.ingest=delay, exit", "actor.batcher=delay, exit",
                          "actor.router=delay, exit", "actor.telemetry=delay, exit",
                          "actor.supervisor=delay, exit", "cpu.worker=delay, exit",
                          "cpu.quick_worker=delay, exit", "gpu0.worker=delay, exit",
                          "gpu0.quick_worker=delay, exit", "timer.batcher=return, delay",
                          "timer.router=return, delay", "timer.telemetry=return, delay"}));
}

class held_up_actor : public ::testing::TestWithParam<const char*> {};

TEST_P(held_up_actor, delays_requests_by_that_time_and_costs_none) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.arm(std::string{GetParam()} + "=1*delay(3)");
  const auto start = pipe.clock.now();
  pipe.expect_service(data, 20);
  EXPECT_EQ(pipe.times_fired(GetParam()), 1u);
  EXPECT_EQ(pipe.core().actor_restarts, 0u);
  EXPECT_GE(pipe.requests[19].answered_at - start, 3ms);
}

INSTANTIATE_TEST_SUITE_P(of_each, held_up_actor,
                         ::testing::Values("actor.ingest", "actor.batcher", "actor.router",
                                           "actor.telemetry", "gpu0.worker"),
                         [](const auto& each) {
                           std::string name{each.param};
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

TEST(held_up_router, answers_nobody_after_the_deadline_with_a_result) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.arm("actor.router=1*delay(50)");
  const auto late = pipe.submit(pipe.search(data), 20ms);
  const auto relaxed = pipe.submit(pipe.search(data), 500ms);
  pipe.advance(200ms);
  EXPECT_EQ(pipe.requests[late].answers.size(), 1u);
  EXPECT_TRUE(pipe.is_right(relaxed));
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

TEST(quick_worker, has_a_site_of_its_own) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().quick = true;
  pipe.arm("gpu0.worker=exit");
  const auto spared = pipe.submit(pipe.search(data));
  pipe.advance(10ms);
  EXPECT_TRUE(pipe.is_right(spared));
  EXPECT_EQ(pipe.core().actor_restarts, 0u);
  pipe.arm("gpu0.quick_worker=1*exit");
  const auto hit = pipe.submit(pipe.search(data));
  pipe.advance(100ms);
  EXPECT_TRUE(pipe.is_right(hit));
  EXPECT_EQ(pipe.core().actor_restarts, 1u);
}

TEST(supervisor_site, fires_as_it_hears_of_a_death) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.arm("actor.supervisor=1*delay(2)");
  pipe.arm("actor.batcher=1*exit");
  const auto start = pipe.clock.now();
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(50ms);
  EXPECT_EQ(pipe.times_fired("actor.supervisor"), 1u);
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_GE(pipe.requests[r].answered_at - start, 2ms);
}

// -- timers --

/// Trouble with one timer: "1*return" loses it.
class troubled_timer : public ::testing::TestWithParam<const char*> {
protected:
  static constexpr duration slack = 6ms; ///< 5 ms of patience, and some
};

TEST_P(troubled_timer, of_the_batcher_lets_a_window_close_a_little_later) {
  auto options = eager_gpu();
  options.batching.max_wait_ms = 10;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  const auto busy = pipe.keep_busy(data, 200ms);
  pipe.arm(std::string{"timer.batcher="} + GetParam());
  const auto held = pipe.submit(pipe.search(data));
  pipe.run();
  ASSERT_FALSE(pipe.answered(held));
  pipe.advance(10ms + slack);
  EXPECT_EQ(pipe.times_fired("timer.batcher"), 1u);
  EXPECT_TRUE(pipe.is_right(held)) << "nothing else wakes the batcher";
  pipe.advance(1s);
  EXPECT_TRUE(pipe.is_right(busy));
}

TEST_P(troubled_timer, of_the_router_lets_a_hung_batch_fall_back_a_little_later) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  pipe.arm(std::string{"timer.router="} + GetParam());
  const auto start = pipe.clock.now();
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(50ms - 1us);
  ASSERT_FALSE(pipe.answered(r));
  pipe.advance(slack);
  EXPECT_GE(pipe.times_fired("timer.router"), 1u);
  EXPECT_TRUE(pipe.is_right(r)) << "nothing else wakes the router";
  EXPECT_GT(pipe.requests[r].answered_at - start, 50ms);
}

TEST_P(troubled_timer, of_the_router_keeps_a_deadline_nearly) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().script = {{.what = act::kind::hang}};
  pipe.arm(std::string{"timer.router="} + GetParam());
  const auto r = pipe.submit(pipe.search(data), 20ms);
  pipe.advance(20ms + slack);
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::deadline_exceeded);
}

TEST_P(troubled_timer, of_telemetry_lets_a_breaker_cool_down_a_little_later) {
  auto options = eager_gpu();
  options.gpu.breaker.cool_down_ms = 100;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = fault_class::sticky}};
  pipe.arm(std::string{"timer.telemetry="} + GetParam());
  pipe.submit(pipe.search(data));
  pipe.run();
  ASSERT_EQ(pipe.breaker(), breaker_state::open);
  pipe.advance(100ms);
  ASSERT_EQ(pipe.breaker(), breaker_state::open);
  pipe.advance(slack);
  EXPECT_EQ(pipe.breaker(), breaker_state::half_open);
  pipe.advance(1s);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
}

INSTANTIATE_TEST_SUITE_P(of, troubled_timer, ::testing::Values("1*return", "1*delay(2)"),
                         [](const auto& each) {
                           return std::string{each.param} == "1*return" ? "lost" : "late";
                         });

TEST(lost_timers, however_many_are_each_made_up_for) {
  auto options = eager_gpu();
  options.batching.max_wait_ms = 10;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.keep_busy(data, 3s);
  for (const char* stage : {"batcher", "router", "telemetry"})
    pipe.arm(std::string{"timer."} + stage + "=return");
  for (std::size_t i = 1; i <= 20; ++i) {
    pipe.submit(pipe.search(data));
    pipe.advance(16ms);
    ASSERT_TRUE(pipe.is_right(i));
  }
}

TEST(a_timer_that_comes_after_it_was_given_up, wakes_nobody_twice) {
  auto options = eager_gpu();
  options.batching.max_wait_ms = 10;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.keep_busy(data, 200ms);
  pipe.arm("timer.batcher=1*delay(30)");
  const auto held = pipe.submit(pipe.search(data));
  pipe.advance(16ms);
  EXPECT_TRUE(pipe.is_right(held)) << "the guard came first";
  const auto next = pipe.submit(pipe.search(data));
  pipe.advance(11ms);
  EXPECT_TRUE(pipe.is_right(next));
  pipe.arm("actor.batcher=exit"); // whatever the batcher still hears kills it
  pipe.advance(100ms);
  EXPECT_EQ(pipe.core().actor_restarts, 0u);
}

} // namespace
