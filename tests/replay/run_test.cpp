#include "engram/replay/run.hpp"

#include <gtest/gtest.h>

#include "fake_target.hpp"

namespace {

using namespace engram;
using namespace engram::replay;
using engram::replay::test::fake_target;
using engram::replay::test::steady;
using namespace std::chrono_literals;

dataset_ptr no_dataset(std::string_view) {
  return nullptr;
}

/// Ends fast when answers are missing: they are, on purpose.
run_options impatient() {
  run_options options;
  options.grace = 50ms;
  return options;
}

report run(const scenario& what, fake_target& target, const run_options& options = impatient()) {
  auto found = run_replay(what, target, no_dataset, options);
  EXPECT_TRUE(found) << found.error().message;
  return std::move(*found);
}

double milliseconds_of(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) * 1e-6;
}

TEST(replay, of_a_good_target_counts_everything_once) {
  fake_target target;
  const auto found = run(steady(200, 1s), target);
  EXPECT_EQ(found.sent, 200u);
  EXPECT_EQ(found.total.requested, 200u);
  EXPECT_EQ(found.total.answered, 200u);
  EXPECT_EQ(found.total.errors, 0u);
  EXPECT_EQ(found.lost, 0u);
  EXPECT_EQ(found.duplicated, 0u);
  EXPECT_EQ(found.sampled, 200u);
  EXPECT_EQ(found.checks.checked, 200u);
  EXPECT_EQ(found.checks.wrong, 0u);
  EXPECT_EQ(found.by_device.at({"cpu", route_reason::no_gpu}), 200u);
  EXPECT_DOUBLE_EQ(found.measured_seconds, 1.0);
}

TEST(replay, counts_requests_that_are_never_answered_as_lost) {
  fake_target target;
  target.behave = [](std::uint64_t n) {
    return n % 50 == 10 ? fake_target::conduct::lose : fake_target::conduct::answer;
  };
  const auto found = run(steady(200, 1s), target);
  EXPECT_EQ(found.lost, 4u);
  EXPECT_NE(found.judgement.kind, verdict_kind::pass); // INVALID where the machine is busy
  EXPECT_EQ(found.judgement.reasons.front(), "4 requests were never answered");
}

TEST(replay, counts_a_second_call_of_a_callback_as_duplicated) {
  fake_target target;
  target.behave = [](std::uint64_t n) {
    return n == 7 ? fake_target::conduct::answer_twice : fake_target::conduct::answer;
  };
  const auto found = run(steady(200, 500ms), target);
  EXPECT_EQ(found.duplicated, 1u);
  EXPECT_EQ(found.lost, 0u);
  EXPECT_EQ(found.total.answered, 100u);
  EXPECT_NE(found.judgement.kind, verdict_kind::pass); // INVALID where the machine is busy
  EXPECT_EQ(found.judgement.reasons.front(), "1 answer came a second time");
}

TEST(replay, finds_an_answer_that_is_wrong_in_one_bit) {
  fake_target target;
  target.behave = [](std::uint64_t n) {
    return n == 42 ? fake_target::conduct::answer_wrongly : fake_target::conduct::answer;
  };
  const auto found = run(steady(200, 500ms), target);
  EXPECT_EQ(found.checks.checked, 100u);
  EXPECT_EQ(found.checks.wrong, 1u);
  ASSERT_EQ(found.checks.examples.size(), 1u);
  EXPECT_TRUE(found.checks.examples[0].starts_with("request 42 (similarity, by cpu): score 0 is "))
      << found.checks.examples[0];
  EXPECT_NE(found.judgement.kind, verdict_kind::pass); // INVALID where the machine is busy
}

TEST(replay, tells_a_wrong_answer_from_one_that_a_fault_made_wrong) {
  fake_target target;
  target.behave = [](std::uint64_t n) {
    return n == 20 || n == 42 ? fake_target::conduct::answer_wrongly : fake_target::conduct::answer;
  };
  target.corrupted = 1;
  auto what = steady(200, 500ms);
  what.faults.push_back({50ms, "cpu.result=1*corrupt"});
  const auto found = run(what, target);
  ASSERT_EQ(found.faults.size(), 1u);
  EXPECT_EQ(found.faults[0].fired, 1u);
  EXPECT_EQ(found.checks.made_wrong, 1u);
  EXPECT_EQ(found.checks.wrong, 1u); // the site changed one result, and two differ
}

TEST(replay, counts_answers_that_come_long_after_their_deadline_as_overdue) {
  fake_target target;
  target.before_answer = [](std::uint64_t n) {
    if (n == 99) std::this_thread::sleep_for(150ms); // the last one; its deadline is 100 ms
  };
  const auto found = run(steady(200, 500ms), target);
  EXPECT_EQ(found.lost, 0u);
  EXPECT_GE(found.overdue, 1u);
  EXPECT_LT(found.overdue, 50u); // others only where the machine is busy
}

TEST(replay, publishes_again_when_the_scenario_says_so_and_reports_a_refusal) {
  fake_target target;
  auto what = steady(200, 500ms);
  what.datasets.push_back({"v", synthetic_dataset::form::vectors, 4, 4, 0, 0, 1});
  what.publications = {{50ms, "v"}, {100ms, "v"}};
  EXPECT_EQ(run_replay(what, target, no_dataset).error().code, ec::invalid_argument);
  auto options = impatient();
  int published = 0;
  options.publish = [&](const synthetic_dataset& described) -> result<void> {
    EXPECT_EQ(described.name, "v");
    if (++published == 2) return error{ec::unavailable, "not now"};
    return {};
  };
  const auto found = run(what, target, options);
  ASSERT_EQ(found.publications.size(), 2u);
  EXPECT_EQ(found.publications[0].refusal, "");
  EXPECT_EQ(found.publications[1].refusal, "not now");
}

TEST(replay, counts_errors_by_code_and_leaves_them_out_of_the_percentiles) {
  fake_target target;
  target.behave = [](std::uint64_t n) {
    return n % 10 == 0 ? fake_target::conduct::fail : fake_target::conduct::answer;
  };
  const auto found = run(steady(200, 500ms), target);
  EXPECT_EQ(found.errors.at("overloaded"), 10u);
  EXPECT_EQ(found.error_examples.at("overloaded"), "too much");
  EXPECT_EQ(found.total.took.response.count(), 90u);
  EXPECT_NE(found.judgement.kind, verdict_kind::pass); // INVALID where the machine is busy
}

// 2,000 requests, one a millisecond; answers stop for 200 ms. Each of the 200 requests of that time
// waits for its end, so latencies up to 200 ms are evenly spread over 10 % of the requests and the
// 99th percentile lies at 180 ms. A generator that waited for answers would have seen one slow
// request.
constexpr double analytic_p99_ms = 180;

TEST(replay, shows_a_stall_in_every_request_that_waited_for_it) {
  fake_target target;
  target.before_answer = [](std::uint64_t n) {
    if (n == 1000) std::this_thread::sleep_for(200ms);
  };
  const auto found = run(steady(1000, 2s), target);
  EXPECT_EQ(found.total.answered, 2000u);
  const auto p99 = milliseconds_of(found.total.took.response.quantile(0.99));
  EXPECT_GE(p99, analytic_p99_ms * 0.95);
  EXPECT_GE(milliseconds_of(found.total.took.response.max()), 195);
}

TEST(replay, counts_from_the_scheduled_time_when_the_sender_itself_is_held_up) {
  fake_target target;
  target.before_send = [](std::uint64_t n) {
    if (n == 1000) std::this_thread::sleep_for(200ms);
  };
  const auto found = run(steady(1000, 2s), target);
  const auto p99 = milliseconds_of(found.total.took.response.quantile(0.99));
  EXPECT_GE(p99, analytic_p99_ms * 0.95);
  // From the real send only the request that was held up was slow.
  EXPECT_LT(milliseconds_of(found.total.took.service.quantile(0.99)), 100);
  EXPECT_GE(found.late_sends, 190u);
  EXPECT_EQ(found.judgement.kind, verdict_kind::invalid);
}

TEST(replay, excludes_the_warm_up_from_rates_and_percentiles) {
  auto what = steady(200, 500ms);
  what.warm_up = 500ms;
  fake_target target;
  target.before_answer = [](std::uint64_t n) {
    if (n == 10) std::this_thread::sleep_for(100ms);
  };
  const auto found = run(what, target);
  EXPECT_EQ(found.sent, 200u);
  EXPECT_EQ(found.total.sent, 100u);
  EXPECT_LT(milliseconds_of(found.total.took.response.max()), 95);
  ASSERT_FALSE(found.slices.empty());
  EXPECT_DOUBLE_EQ(found.slices.front().start_seconds, -0.5);
}

TEST(replay, sets_the_faults_of_its_timeline_in_order_and_on_time) {
  auto what = steady(100, 600ms);
  what.faults = {{200ms, "gpu0.launch=return(sticky)"}, {400ms, "gpu0.launch=off"}};
  fake_target target;
  const auto found = run(what, target);
  EXPECT_EQ(target.armed,
            (std::vector<std::string>{"gpu0.launch=return(sticky)", "gpu0.launch=off"}));
  ASSERT_EQ(found.faults.size(), 2u);
  EXPECT_GE(found.faults[0].at_seconds, 0.2);
  EXPECT_LT(found.faults[0].at_seconds, 0.35);
  EXPECT_GE(found.faults[1].at_seconds, 0.4);
}

TEST(replay, refuses_a_fault_site_that_is_not_there_before_it_sends_anything) {
  auto what = steady(100, 500ms);
  what.faults = {{200ms, "gpu7.launch=off"}};
  fake_target target;
  const auto found = run_replay(what, target, no_dataset);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ec::not_found);
  EXPECT_EQ(found.error().message,
            "there is no fault site \"gpu7.launch\"; known are cpu.result, gpu0.launch");
  EXPECT_EQ(target.sent(), 0u);
}

TEST(replay, refuses_a_task_that_its_site_does_not_do_before_it_sends_anything) {
  auto what = steady(100, 500ms);
  what.faults = {{200ms, "gpu0.launch=corrupt"}};
  fake_target target;
  const auto found = run_replay(what, target, no_dataset);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ec::invalid_argument);
  EXPECT_EQ(target.sent(), 0u);
}

TEST(replay, refuses_a_dataset_that_is_not_there) {
  auto what = steady(100, 500ms);
  what.loads[0].op = operation::search;
  what.loads[0].dataset = "nowhere";
  fake_target target;
  const auto found = run_replay(what, target, no_dataset);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ec::not_found);
  EXPECT_EQ(found.error().message,
            "the load steady needs the dataset nowhere, which is not there; import it or declare "
            "it in the scenario as a [[dataset]]");
}

TEST(replay, that_is_cut_short_drains_and_says_so) {
  std::stop_source stop;
  auto options = impatient();
  options.stop = stop.get_token();
  options.on_progress = [&](const progress& now) {
    if (now.at_seconds > 0.3) stop.request_stop();
  };
  fake_target target;
  const auto began = clock_type::now();
  const auto found = run(steady(200, 30s), target, options);
  EXPECT_LT(to_seconds(clock_type::now() - began), 5.0);
  EXPECT_TRUE(found.cut_short);
  EXPECT_EQ(found.lost, 0u);
  EXPECT_EQ(found.unsent, 0u);
  EXPECT_GT(found.total.answered, 30u);
  EXPECT_GT(found.measured_seconds, 0.25);
  EXPECT_LT(found.measured_seconds, 2.0);
  EXPECT_EQ(found.judgement.kind, verdict_kind::invalid);
  EXPECT_TRUE(found.judgement.reasons.front().starts_with("it was cut short after "));
}

TEST(replay, ends_when_the_target_holds_the_sender_up_for_good) {
  fake_target target;
  target.before_send = [](std::uint64_t) { std::this_thread::sleep_for(20ms); };
  const auto found = run(steady(1000, 500ms), target);
  EXPECT_GT(found.unsent, 0u);
  EXPECT_EQ(found.total.requested, 500u);
  EXPECT_EQ(found.total.sent + found.unsent, 500u);
  EXPECT_EQ(found.judgement.kind, verdict_kind::invalid);
}

} // namespace
