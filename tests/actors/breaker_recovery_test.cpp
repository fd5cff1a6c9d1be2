// A GPU that fails is disabled, proves itself on copies that the CPU has answered, and comes back.

#include "engram/tests/actors/virtual_pipeline.hpp"

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

struct breaker_recovery : ::testing::Test {
  virtual_pipeline pipe{eager_gpu()};
  dataset_ptr data = pipe.publish();

  answer ask() {
    const auto r = pipe.submit(pipe.search(data));
    pipe.run();
    EXPECT_TRUE(pipe.is_right(r));
    return pipe.only_answer(r);
  }
  void lose_gpu() {
    pipe.gpu().script.push_front({.what = act::kind::fail, .fault = fault_class::sticky});
    ask();
    ASSERT_EQ(pipe.breaker(), breaker_state::open);
  }
};

TEST_F(breaker_recovery, too_many_failures_open_it_and_no_caller_notices) {
  for (int i = 0; i < 20; ++i)
    pipe.gpu().script.push_back({.what = act::kind::fail});
  for (int i = 0; i < 19; ++i)
    ask();
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
  ask();
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
  EXPECT_EQ(ask().trace.reason, route_reason::gpu_disabled);
}

TEST_F(breaker_recovery, while_open_the_gpu_receives_nothing) {
  lose_gpu();
  const auto before = pipe.gpu().seen.size();
  for (int i = 0; i < 10; ++i)
    ask();
  EXPECT_EQ(pipe.gpu().seen.size(), before);
}

TEST_F(breaker_recovery, five_good_shadow_copies_close_it_while_the_cpu_answers) {
  lose_gpu();
  pipe.advance(1s);
  ASSERT_EQ(pipe.breaker(), breaker_state::half_open);
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(ask().trace.device, "cpu");
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
  EXPECT_EQ(ask().trace.device, "gpu0");
  EXPECT_GE(pipe.gpu().resets, 1u) << "a device whose context was lost is brought back first";
}

TEST_F(breaker_recovery, a_wrong_shadow_answer_opens_it_again) {
  lose_gpu();
  pipe.advance(1s);
  pipe.gpu().script = {{}, {.what = act::kind::wrong}};
  ask();
  ask();
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
  EXPECT_EQ(pipe.core().shadow_mismatches, 1u);
}

TEST_F(breaker_recovery, a_shadow_copy_that_takes_too_long_opens_it_again) {
  lose_gpu();
  pipe.advance(1s);
  pipe.gpu().script = {{.what = act::kind::hang}};
  ask();
  pipe.advance(51ms);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
}

TEST_F(breaker_recovery, known_answer_batches_close_it_without_traffic) {
  lose_gpu();
  pipe.advance(1s + 500ms);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
  EXPECT_TRUE(pipe.requests.size() == 1) << "nobody asked anything meanwhile";
}

TEST_F(breaker_recovery, a_device_that_cannot_be_brought_back_stays_out_with_growing_cool_downs) {
  pipe.gpu().can_reset = false;
  lose_gpu();
  pipe.advance(60s);
  EXPECT_NE(pipe.breaker(), breaker_state::closed);
  EXPECT_LE(pipe.gpu().resets, 7u) << "1, 2, 4, ... s apart";
  EXPECT_GE(pipe.gpu().resets, 5u);
}

TEST_F(breaker_recovery, every_change_is_in_the_event_log) {
  lose_gpu();
  pipe.advance(2s);
  std::string story;
  for (const auto& event : pipe.core().events.after(0))
    if (event.kind == "breaker") story += event.detail.substr(0, event.detail.find(':')) + "; ";
  EXPECT_EQ(story, "closed -> open; open -> half_open; half_open -> closed; ");
}

// -- what an operator says --

struct breaker_override_test : breaker_recovery {
  void say(breaker_override what) {
    pipe.core().workers[1]->override_wanted = what;
    device_report said;
    said.what = device_report::kind::overridden;
    said.device = 1;
    pipe.core().device_reports.push(said);
    pipe.run();
  }
  std::string story(std::string_view kind) {
    std::string out;
    for (const auto& event : pipe.core().events.after(0))
      if (event.kind == kind) out += event.detail + "; ";
    return out;
  }
};

TEST_F(breaker_override_test, a_gpu_that_is_held_open_receives_nothing_until_it_is_let_go) {
  say(breaker_override::open);
  EXPECT_EQ(ask().trace.reason, route_reason::gpu_disabled);
  pipe.advance(10min);
  EXPECT_EQ(ask().trace.reason, route_reason::gpu_disabled);
  EXPECT_TRUE(pipe.gpu().seen.empty());
  say(breaker_override::automatic);
  EXPECT_EQ(pipe.breaker(), breaker_state::half_open);
  pipe.advance(500ms);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed) << "known-answer batches proved it";
  EXPECT_EQ(ask().trace.device, "gpu0");
}

TEST_F(breaker_override_test, a_gpu_that_is_held_closed_serves_on_however_often_it_fails) {
  say(breaker_override::closed);
  for (int i = 0; i < 60; ++i)
    pipe.gpu().script.push_back({.what = act::kind::fail});
  for (int i = 0; i < 60; ++i)
    EXPECT_TRUE(ask().trace.fell_back);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
  EXPECT_EQ(ask().trace.device, "gpu0");
}

TEST_F(breaker_override_test, a_dead_gpu_cannot_be_held_closed) {
  pipe.gpu().can_reset = false;
  say(breaker_override::closed);
  lose_gpu();
  pipe.advance(60s);
  EXPECT_NE(pipe.breaker(), breaker_state::closed);
  EXPECT_EQ(ask().trace.device, "cpu");
}

TEST_F(breaker_override_test, a_restart_of_telemetry_keeps_it) {
  say(breaker_override::open);
  pipe.arm("actor.telemetry=1*exit");
  device_report outcome;
  outcome.device = 1;
  pipe.core().device_reports.push(outcome);
  pipe.run();
  pipe.advance(1s);
  EXPECT_EQ(pipe.core().actor_restarts, 1u);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
  EXPECT_EQ(pipe.core().workers[1]->override_held, breaker_override::open);
}

TEST_F(breaker_override_test, one_that_is_said_while_telemetry_is_dead_is_followed) {
  pipe.arm("actor.telemetry=1*exit");
  say(breaker_override::open);
  pipe.advance(1s);
  EXPECT_EQ(pipe.core().actor_restarts, 1u);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
}

TEST_F(breaker_override_test, it_is_in_the_event_log_and_the_metrics) {
  EXPECT_EQ(pipe.metric("engram_gpu_breaker_override{device=\"gpu0\",override=\"automatic\"}"), 1);
  say(breaker_override::open);
  say(breaker_override::automatic);
  EXPECT_EQ(story("override"), "automatic -> open; open -> automatic; ");
  EXPECT_EQ(story("breaker"),
            "closed -> open: held open by an operator; open -> half_open: no longer held open; ");
  say(breaker_override::closed);
  EXPECT_EQ(pipe.metric("engram_gpu_breaker_override{device=\"gpu0\",override=\"closed\"}"), 1);
  EXPECT_EQ(pipe.metric("engram_gpu_breaker_override{device=\"gpu0\",override=\"automatic\"}"), 0);
}

TEST(shadow, a_share_of_the_traffic_is_repeated_on_the_other_device) {
  auto options = eager_gpu();
  options.routing.shadow_share = 0.25;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  for (int i = 0; i < 40; ++i) {
    pipe.submit(pipe.search(data));
    pipe.run();
  }
  EXPECT_EQ(pipe.cpu().seen.size(), 10u);
  EXPECT_TRUE(pipe.core().costs.predict({operation::search, 0, data->key}, 400.0))
      << "the CPU's cost is known too";
}

TEST(shadow, a_gpu_that_answers_wrong_is_disabled_at_once) {
  auto options = eager_gpu();
  options.routing.shadow_share = 0.5;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.gpu().script = {{}, {.what = act::kind::wrong}};
  for (int i = 0; i < 2; ++i) {
    pipe.submit(pipe.search(data));
    pipe.run();
  }
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
}

} // namespace
