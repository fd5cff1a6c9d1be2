#include "engram/bench/gpu/fault_kind.hpp"
#include "engram/bench/gpu/fault_row.hpp"
#include "engram/bench/gpu/recovery_report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace engram::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(fault_plans, are_read_with_their_counts) {
  const auto plans = parse_fault_plans("trap,illegal_address/cold:7,kill_owner:1");
  ASSERT_TRUE(plans);
  ASSERT_EQ(plans->size(), 3u);
  EXPECT_EQ((*plans)[0].name(), "trap");
  EXPECT_EQ((*plans)[0].times, 20u);
  EXPECT_EQ((*plans)[1].name(), "illegal_address/cold");
  EXPECT_TRUE((*plans)[1].cold);
  EXPECT_EQ((*plans)[1].times, 7u);
  EXPECT_EQ((*plans)[2].kind.role, "owner");
}

TEST(fault_plans, say_what_is_wrong) {
  for (const auto* text : {"", "nothing", "trap:", "trap:0", "trap:-1", "trap:2x", "trap,,exit"}) {
    const auto plans = parse_fault_plans(text);
    ASSERT_FALSE(plans) << text;
    EXPECT_THAT(plans.error().message, HasSubstr("illegal_address")) << text;
  }
}

TEST(fault_plans, of_every_machine_can_be_read) {
  for (const bool simulated : {false, true})
    for (const bool has_processes : {false, true}) {
      const auto plans = parse_fault_plans(default_fault_plans(simulated, has_processes));
      ASSERT_TRUE(plans) << plans.error().message;
      for (const auto& plan : *plans) {
        EXPECT_FALSE(simulated && plan.kind.real_only) << plan.name();
        EXPECT_TRUE(has_processes || plan.kind.role.empty()) << plan.name();
      }
    }
}

TEST(latencies, count_who_was_on_the_way_during_a_span) {
  const std::vector<answered_request> answers{{0, 5},    // over before the first span
                                              {5, 10},   // ends as it begins
                                              {12, 15},  // within
                                              {19, 40},  // due within, answered after it
                                              {8, 60},   // around it
                                              {21, 30},  // between the spans
                                              {25, 101}, // due between, answered in the second
                                              {200, 220}};
  EXPECT_EQ(latencies_within(answers, {{100, 110}, {10, 20}}).count, 5u);
  EXPECT_EQ(latencies_within(answers, {}).count, 0u);
  const auto all = latencies_within(answers, {{0, 1000}});
  EXPECT_EQ(all.count, answers.size());
  EXPECT_NEAR(all.p99, 76e-9, 4e-9);
}

TEST(metric_values, are_summed_over_the_series_with_the_label) {
  const auto* text = "# HELP up_total x\n"
                     "up_total{device=\"gpu0\",kind=\"a\"} 3\n"
                     "up_total{device=\"gpu0\",kind=\"b\"} 4.5e1\n"
                     "up_total{device=\"gpu1\"} 100\n"
                     "up_total_more{device=\"gpu0\"} 1000\n"
                     "down_total 1";
  EXPECT_EQ(metric_value(text, "up_total", "gpu0"), 48.0);
  EXPECT_EQ(metric_value(text, "up_total", "gpu2"), std::nullopt);
  EXPECT_EQ(metric_value(text, "down_total", "gpu0"), std::nullopt);
}

/// A row of sticky faults where all is well.
recovery_row good_row() {
  recovery_row row;
  row.fault = "trap";
  row.kind.is_sticky = true;
  row.wanted = row.happened = 2;
  row.detect_seconds = {0.4e-3, 0.6e-3};
  row.back_seconds = {8e-3, 11e-3};
  row.uploaded_bytes = 0;
  row.load.sent = 10'000;
  row.in_faults = {500, 2e-3, 8e-3};
  return row;
}
constexpr double cpu_only_p99 = 5e-3;

TEST(shortcomings_of_a_recovery, are_none_within_the_bounds) {
  EXPECT_THAT(shortcomings(good_row(), cpu_only_p99, false), IsEmpty());
}

TEST(shortcomings_of_a_recovery, name_each_bound_that_was_missed) {
  const auto only = [](recovery_row row) { return shortcomings(row, cpu_only_p99, false); };
  auto row = good_row();
  row.detect_seconds.push_back(1.5e-3);
  EXPECT_THAT(only(row), ElementsAre(HasSubstr("detected")));
  row = good_row();
  row.back_seconds.assign(200, 30e-3);
  EXPECT_THAT(only(row), ElementsAre(HasSubstr("back p99 30 > 20 ms")));
  row.cold = true;
  EXPECT_THAT(only(row), IsEmpty());
  row = good_row();
  row.in_faults.p99 = 11e-3;
  EXPECT_THAT(only(row), ElementsAre(HasSubstr("2.2 > 2")));
  row = good_row();
  row.uploaded_bytes = 1;
  EXPECT_THAT(only(row), ElementsAre(HasSubstr("uploaded")));
  row.uploaded_bytes.reset();
  EXPECT_THAT(only(row), ElementsAre(HasSubstr("nobody said")));
  row.uploaded_bytes = 1;
  row.kind.loses_data = true;
  EXPECT_THAT(only(row), IsEmpty());
  row = good_row();
  row.trouble = "after 1 faults: the GPU did not serve again in time.";
  EXPECT_THAT(only(row), ElementsAre(row.trouble));
}

TEST(shortcomings_of_a_recovery, a_request_without_its_one_right_answer_is_one_on_any_gpu) {
  for (auto member : {&load_outcome::lost, &load_outcome::duplicated, &load_outcome::wrong,
                      &load_outcome::errors}) {
    auto row = good_row();
    row.kind.is_sticky = false;
    row.load.*member = 1;
    EXPECT_THAT(shortcomings(row, cpu_only_p99, false), ElementsAre(HasSubstr("right answer")));
    EXPECT_THAT(shortcomings(row, cpu_only_p99, true), ElementsAre(HasSubstr("right answer")));
  }
}

TEST(shortcomings_of_a_recovery, times_of_a_simulated_gpu_are_not_judged) {
  auto row = good_row();
  row.detect_seconds.assign(200, 1.0);
  row.back_seconds.assign(200, 1.0);
  EXPECT_THAT(shortcomings(row, cpu_only_p99, true), IsEmpty());
}

} // namespace
} // namespace engram::bench
