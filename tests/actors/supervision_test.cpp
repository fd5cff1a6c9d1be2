// Actors die at any moment; requests do not. Overload and drain.

#include "engram/tests/actors/virtual_pipeline.hpp"

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

class actor_death : public ::testing::TestWithParam<const char*> {};

TEST_P(actor_death, costs_no_request) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.arm(std::string{"actor."} + GetParam() + "=2*exit");
  pipe.expect_service(data, 20);
  EXPECT_EQ(pipe.core().actor_restarts, 2u);
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

INSTANTIATE_TEST_SUITE_P(of_each, actor_death,
                         ::testing::Values("ingest", "batcher", "router", "telemetry"),
                         [](const auto& each) { return std::string{each.param}; });

TEST(router_death, the_next_router_finds_the_batches_in_the_ledger) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().latency = 10ms;
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(1ms);
  ASSERT_EQ(pipe.core().ledger.outstanding(), 1u);
  pipe.arm("actor.router=1*exit");
  pipe.advance(100ms); // dies of the report, and its successor reads it
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.core().ledger.outstanding(), 0u);
}

TEST(router_death, together_with_its_worker_the_batch_is_sent_again) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  const auto r = pipe.submit(pipe.search(data), 400ms);
  pipe.run();
  ASSERT_EQ(pipe.core().ledger.runs_on(1), 1u);
  pipe.arm("actor.router=1*exit");
  pipe.arm("gpu0.worker=1*exit");
  const auto second = pipe.submit(pipe.search(data), 400ms); // both die of it
  pipe.advance(30ms);
  EXPECT_TRUE(pipe.is_right(r)) << "long before its time limit of 50 ms";
  EXPECT_TRUE(pipe.is_right(second));
}

TEST(router_death, a_cpu_turn_that_waits_for_room_is_not_forgotten) {
  auto options = eager_gpu();
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().latency = 80ms;
  pipe.gpu().script = {
      {.what = act::kind::hang}, {.what = act::kind::hang}, {.what = act::kind::hang}};
  for (int i = 0; i < 3; ++i) { // all three time out on the GPU; the CPU has room for two
    pipe.submit(pipe.search(data), 900ms);
    pipe.run();
  }
  pipe.advance(60ms);
  ASSERT_EQ(pipe.core().ledger.waiting().size(), 1u);
  pipe.arm("actor.router=1*exit");
  pipe.core().workers_changed.ring();
  pipe.advance(300ms);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_TRUE(pipe.is_right(i));
  EXPECT_EQ(pipe.cpu().seen.size(), 3u) << "none is run twice";
}

TEST(batcher_death, the_next_batcher_finds_the_windows) {
  auto options = eager_gpu();
  options.batching.max_wait_ms = 10;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  const auto busy = pipe.keep_busy(data, 40ms);
  const auto held = pipe.submit(pipe.search(data));
  pipe.run();
  ASSERT_EQ(pipe.core().windows.waiting(), 1u);
  pipe.arm("actor.batcher=1*exit");
  pipe.advance(200ms);
  EXPECT_TRUE(pipe.is_right(busy));
  EXPECT_TRUE(pipe.is_right(held));
}

TEST(supervisor, gives_up_after_too_many_deaths_and_answers_everybody) {
  auto options = eager_gpu();
  options.supervisor.restart_intensity = 3;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.arm("actor.batcher=exit");
  const auto r = pipe.submit(pipe.search(data));
  pipe.advance(1s);
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::unavailable);
  EXPECT_EQ(pipe.core().state, pipeline_state::unavailable);
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

TEST(supervisor, a_gpu_worker_that_keeps_dying_never_ends_the_pipeline) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.arm("gpu0.worker=exit");
  for (int i = 0; i < 100; ++i) {
    const auto r = pipe.submit(pipe.search(data));
    pipe.advance(20ms);
    ASSERT_TRUE(pipe.is_right(r));
  }
  EXPECT_EQ(pipe.core().state, pipeline_state::ready);
  EXPECT_NE(pipe.breaker(), breaker_state::closed);
  pipe.core().faults->disarm_all();
  pipe.advance(120s);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
}

TEST(recovery, a_gpu_that_comes_back_has_what_was_published_meanwhile) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = fault_class::sticky}};
  pipe.submit(pipe.search(data));
  pipe.run();
  pipe.gpu().retire(data->key); // as if it had been published while the device was out
  pipe.advance(3s);
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_EQ(pipe.only_answer(r).trace.device, "gpu0");
}

TEST(callback, that_throws_costs_nobody_else_an_answer) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  ASSERT_EQ(pipe.core().gate.enter(), admission_gate::verdict::entered);
  pipe.core().inbox.push(std::make_shared<pending_request>(
      99, pipe.search(data), pipe.clock.now(), pipe.clock.now() + 1s, 0, pipe.core().desk,
      [](const answer&) { throw std::runtime_error("the caller's own"); }));
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(r));
  EXPECT_EQ(pipe.core().actor_restarts, 0u);
}

TEST(overload, the_gate_refuses_at_once_and_admits_again) {
  auto options = eager_gpu();
  options.admission.max_in_flight = 4;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.gpu().latency = 1ms;
  for (int i = 0; i < 6; ++i)
    pipe.submit(pipe.search(data));
  EXPECT_EQ(pipe.only_answer(4).failure.code, ec::overloaded);
  EXPECT_EQ(pipe.only_answer(5).failure.code, ec::overloaded);
  pipe.advance(10ms);
  const auto later = pipe.submit(pipe.search(data));
  pipe.advance(10ms);
  EXPECT_TRUE(pipe.is_right(later));
}

TEST(overload, a_backlog_stays_in_the_windows_where_deadlines_order_it) {
  auto options = eager_gpu();
  options.gpu.enabled = false;
  options.batching.target_batch_size = 1;
  virtual_pipeline pipe{options, 0};
  const auto data = pipe.publish();
  pipe.cpu().latency = 1ms;
  for (int i = 0; i < 50; ++i)
    pipe.submit(pipe.search(data));
  pipe.run();
  EXPECT_EQ(pipe.core().ledger.outstanding(), pipe.core().capacity());
  EXPECT_EQ(pipe.core().windows.waiting(), 50u - pipe.core().capacity());
  pipe.advance(1s);
  for (std::size_t i = 0; i < 50; ++i)
    EXPECT_TRUE(pipe.is_right(i));
}

TEST(drain, held_windows_leave_at_once_and_nothing_new_enters) {
  auto options = eager_gpu();
  options.batching.max_wait_ms = 1000;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  const auto busy = pipe.keep_busy(data, 500ms);
  const auto held = pipe.submit(pipe.search(data), 5s);
  pipe.run();
  EXPECT_EQ(pipe.core().windows.waiting(), 1u);
  pipe.core().state = pipeline_state::draining;
  pipe.core().gate.close();
  pipe.core().capacity_freed.ring();
  pipe.run();
  EXPECT_EQ(pipe.core().windows.waiting(), 0u);
  const auto refused = pipe.submit(pipe.search(data));
  EXPECT_EQ(pipe.only_answer(refused).failure.code, ec::shutting_down);
  pipe.advance(2s);
  EXPECT_TRUE(pipe.is_right(busy));
  EXPECT_TRUE(pipe.is_right(held));
}

TEST(stop, what_is_left_is_answered_with_shutting_down) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  const auto r = pipe.submit(pipe.search(data));
  pipe.run();
  pipe.stop();
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::shutting_down);
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

TEST(answer_slot, a_request_destroyed_unanswered_says_so_and_is_counted) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.stop();
  const auto r = pipe.submit(pipe.search(data));
  std::vector<request_ptr> dropped;
  pipe.core().inbox.take(dropped);
  dropped.clear();
  pipe.requests[r].handle.reset();
  EXPECT_EQ(pipe.only_answer(r).failure.code, ec::internal);
  EXPECT_EQ(pipe.core().desk.lost, 1u);
}

} // namespace
