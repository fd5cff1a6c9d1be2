// Every actor dies at every message of a small workload that makes every kind of message: once, and
// for good. And the supervisor itself.

#include "engram/tests/actors/virtual_pipeline.hpp"

#include <gmock/gmock.h>

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

/// Thirty requests: answered by either device, split, hedged, checked, and by the CPU while the GPU
/// is out; windows that wait, canaries, probes.
class workload {
public:
  explicit workload(bool quick) : pipe(options()) {
    data_ = pipe.publish();
    pipe.cpu().quick = pipe.gpu().quick = quick;
    pipe.cpu().latency = 300us;
    pipe.gpu().latency = 100us;
    pipe.gpu().script = {{},
                         {.what = act::kind::fail, .fault = fault_class::oom},
                         {},
                         {},
                         {.what = act::kind::hang},
                         {.what = act::kind::fail},
                         {.latency = 8ms},
                         {.what = act::kind::fail, .fault = fault_class::sticky}};
  }

  void play() {
    for (std::size_t i = 0; i < 30; ++i) {
      pipe.submit(pipe.search(data_, 1 + i % 4, i), 10s);
      pipe.advance(i % 3 == 0 ? 5ms : 200us);
    }
    pipe.advance(300ms);
  }

  void expect_all_right() {
    for (std::size_t r = 0; r < pipe.requests.size(); ++r)
      EXPECT_TRUE(pipe.is_right(r)) << "request " << r;
    expect_nothing_left();
  }
  void expect_right_or_unavailable() {
    for (std::size_t r = 0; r < pipe.requests.size(); ++r) {
      const auto& failure = pipe.only_answer(r).failure;
      // "refused" is what the gate of this test says once it is closed.
      const bool may = failure.code == ec::unavailable || failure.message == "refused";
      EXPECT_TRUE(may || pipe.is_right(r)) << "request " << r;
    }
    expect_nothing_left();
  }
  void expect_nothing_left() {
    EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
    EXPECT_EQ(pipe.core().desk.lost, 0u);
  }

  virtual_pipeline pipe;

private:
  static pipeline_options options() {
    auto o = eager_gpu();
    o.batching.max_wait_ms = 1;
    o.batching.target_batch_size = 4;
    o.gpu.streams = 2;
    o.routing.time_limit_floor_ms = 5;
    o.routing.shadow_share = 0.2;
    o.gpu.breaker.cool_down_ms = 20;
    o.gpu.verification.check_share = 0.5;
    o.gpu.verification.canary_interval_ms = 30;
    o.supervisor.restart_intensity = 3;
    return o;
  }
  dataset_ptr data_;
};

std::string nth(int n, const std::string& task) {
  return (n > 0 ? std::to_string(n) + "*off->" : "") + task;
}

class each_actor : public ::testing::TestWithParam<const char*> {
protected:
  const std::string site = GetParam();
  const bool quick = site.find("quick") != std::string::npos;
};

TEST_P(each_actor, may_die_at_any_message_and_every_request_is_answered_right) {
  int n = 0;
  for (;; ++n) {
    SCOPED_TRACE("at message " + std::to_string(n));
    workload w{quick};
    w.pipe.arm(site + "=" + nth(n, "1*exit"));
    w.play();
    if (w.pipe.times_fired(site) == 0) break; // there was no such message
    EXPECT_EQ(w.pipe.core().actor_restarts, 1u);
    EXPECT_EQ(w.pipe.core().state, pipeline_state::ready);
    w.expect_all_right();
    if (HasFailure()) return;
  }
  RecordProperty("messages", n);
  EXPECT_GE(n, 8) << "the workload gives it too little to do";
}

TEST_P(each_actor, that_dies_for_good_leaves_no_request_unanswered) {
  const bool is_gpu = site.starts_with("gpu0");
  for (int n = 0;; ++n) {
    SCOPED_TRACE("from message " + std::to_string(n) + " on");
    workload w{quick};
    w.pipe.arm(site + "=" + nth(n, "exit"));
    w.play();
    if (w.pipe.times_fired(site) < 4) break; // it was not asked often enough to be given up
    w.expect_right_or_unavailable();
    EXPECT_EQ(w.pipe.core().state, is_gpu ? pipeline_state::ready : pipeline_state::unavailable);
    if (is_gpu) {
      w.expect_all_right();
    } else {
      const auto late = w.pipe.submit(w.pipe.requests[0].payload);
      EXPECT_FALSE(w.pipe.only_answer(late).ok()) << "the gate is closed";
      EXPECT_TRUE(w.pipe.core().supervised) << "it is the supervisor who gave up";
    }
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(of_all, each_actor,
                         ::testing::Values("actor.ingest", "actor.batcher", "actor.router",
                                           "actor.telemetry", "cpu.worker", "gpu0.worker",
                                           "cpu.quick_worker", "gpu0.quick_worker"),
                         [](const auto& each) {
                           std::string name{each.param};
                           std::ranges::replace(name, '.', '_');
                           return name;
                         });

// -- the supervisor

TEST(supervisor_death, answers_everything_that_is_pending_with_unavailable) {
  auto options = eager_gpu();
  options.batching.max_wait_ms = 1'000;
  options.gpu.streams = 1;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  const auto running = pipe.submit(pipe.search(data), 30s);
  pipe.run();
  const auto held = pipe.submit(pipe.search(data), 30s);
  pipe.run();
  ASSERT_EQ(pipe.core().windows.waiting(), 1u);
  pipe.arm("actor.supervisor=exit");
  pipe.arm("actor.ingest=exit"); // whose death the supervisor dies of
  const auto arriving = pipe.submit(pipe.search(data), 30s);
  pipe.run();
  for (const auto r : {running, held, arriving}) {
    EXPECT_EQ(pipe.only_answer(r).failure.code, ec::unavailable);
    EXPECT_THAT(pipe.only_answer(r).failure.message, ::testing::HasSubstr("its supervisor died"));
  }
  EXPECT_EQ(pipe.core().state, pipeline_state::unavailable);
  EXPECT_FALSE(pipe.core().supervised);
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
  EXPECT_FALSE(pipe.only_answer(pipe.submit(pipe.search(data))).ok()) << "the gate is closed";
  const auto events = pipe.core().events.after(0);
  EXPECT_TRUE(std::ranges::any_of(events, [](const auto& event) {
    return event.kind == "unavailable" && event.subject == "supervisor";
  }));
}

TEST(supervisor_death, at_any_of_its_messages_leaves_no_request_unanswered) {
  int n = 0;
  for (;; ++n) {
    SCOPED_TRACE("at message " + std::to_string(n));
    workload w{false};
    w.pipe.arm("actor.supervisor=" + nth(n, "1*exit"));
    w.pipe.arm("actor.batcher=10*off->2*exit");
    w.pipe.arm("actor.router=30*off->1*exit");
    w.pipe.arm("gpu0.worker=5*off->2*exit");
    w.play();
    if (w.pipe.times_fired("actor.supervisor") == 0) {
      w.expect_all_right();
      break;
    }
    EXPECT_FALSE(w.pipe.core().supervised);
    w.expect_right_or_unavailable();
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GE(n, 5) << "five deaths, and a restart that was put off";
}

TEST(supervisor_death, in_the_middle_of_a_drain_answers_the_rest) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  const auto r = pipe.submit(pipe.search(data), 30s);
  pipe.run();
  pipe.arm("actor.supervisor=exit");
  pipe.stop(); // it dies of the first actor that ends as it should
  EXPECT_FALSE(pipe.only_answer(r).ok());
  EXPECT_EQ(pipe.core().gate.in_flight(), 0u);
}

TEST(supervisor_end, as_asked_is_no_death) {
  virtual_pipeline pipe{eager_gpu()};
  pipe.stop();
  EXPECT_TRUE(pipe.core().supervised);
  EXPECT_NE(pipe.core().state, pipeline_state::unavailable);
}

} // namespace
