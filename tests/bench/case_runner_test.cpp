#include "engram/bench/gpu/case_runner.hpp"
#include "engram/tests/support/manual_clock.hpp"
#include "engram/tests/support/scripted_device.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace engram::bench {
namespace {

using act = engram::test::scripted_device::act;
using ::testing::HasSubstr;

/// A CPU and a GPU that do what the test says.
class cases : public ::testing::Test {
protected:
  cases() {
    auto cpu = std::make_unique<engram::test::scripted_device>("cpu", device_kind::cpu, clock_);
    auto gpu = std::make_unique<engram::test::scripted_device>("gpu0", device_kind::cuda, clock_);
    cpu_ = cpu.get();
    gpu_ = gpu.get();
    devices_.cpu = std::move(cpu);
    devices_.gpu = std::move(gpu);
  }

  static bench_case small(operation op) {
    bench_case c{
        .name = "small/4", .family = "small", .title = "Small", .unit = "things", .size = 4};
    c.work = {.op = op, .rows = 40, .dim = 8, .items = 4, .k = 3};
    if (op == operation::similarity) c.work.rows = 0;
    return c;
  }

  case_record run(const bench_case& what) { return case_runner{devices_, settings_}.run(what); }

  engram::test::manual_alarm_clock clock_;
  bench_devices devices_;
  engram::test::scripted_device* cpu_ = nullptr;
  engram::test::scripted_device* gpu_ = nullptr;
  run_settings settings_{.limits = {.repeats = 20, .least = 5, .seconds = 10}};
};

TEST_F(cases, of_every_operation_are_measured_on_both_devices) {
  for (const auto op :
       {operation::search, operation::similarity, operation::score, operation::spread}) {
    const auto record = run(small(op));
    EXPECT_EQ("", record.trouble) << to_string(op);
    for (const auto* series : {"cpu", "gpu", "kernel", "transfer", "device"}) {
      ASSERT_TRUE(record.series(series)) << series;
      EXPECT_EQ(20u, record.series(series)->size());
    }
  }
}

TEST_F(cases, take_the_device_s_own_times) {
  gpu_->seconds_per_work = 1;
  const auto record = run(small(operation::search));
  EXPECT_EQ(std::vector<double>(20, 1 + 4 * 40 * 8), *record.series("kernel"));
  EXPECT_LT(record.series("gpu")->front(), 1);
}

TEST_F(cases, warm_up_before_they_measure) {
  run(small(operation::search));
  EXPECT_GT(gpu_->seen.size(), 20u);
  EXPECT_NE(gpu_->seen[0], gpu_->seen[1]) << "the inputs change from run to run";
}

TEST_F(cases, stop_when_their_time_is_over) {
  settings_.limits.seconds = 0;
  EXPECT_LE(run(small(operation::search)).series("gpu")->size(), 5u);
}

TEST_F(cases, whose_gpu_fails_say_so_and_keep_the_cpu_s_times) {
  gpu_->script.assign(1, {.what = act::kind::fail, .fault = fault_class::oom});
  const auto record = run(small(operation::search));
  EXPECT_THAT(record.trouble, HasSubstr("gpu0 failed (oom): as scripted"));
  EXPECT_FALSE(record.series("gpu"));
  EXPECT_TRUE(record.series("cpu"));
}

TEST_F(cases, whose_devices_answer_differently_are_trouble) {
  gpu_->script.assign(1, {.what = act::kind::wrong});
  EXPECT_THAT(run(small(operation::search)).trouble, HasSubstr("not the CPU's"));
}

TEST_F(cases, without_the_cpu_leave_it_alone) {
  settings_.skip_cpu = true;
  const auto record = run(small(operation::score));
  EXPECT_FALSE(record.series("cpu"));
  EXPECT_TRUE(cpu_->seen.empty());
}

TEST_F(cases, leave_nothing_resident) {
  run(small(operation::search));
  const auto key = gpu_->seen.front()->data->key;
  EXPECT_FALSE(gpu_->is_resident(key));
}

TEST_F(cases, of_hops_divide_by_the_hops_and_by_those_after_the_second) {
  auto hop = small(operation::spread);
  hop.kind = case_kind::hop;
  hop.work.rows = 64;
  hop.work.seeds = 4;
  hop.work.spread = {.max_hops = 10, .decay = 0.125f, .threshold = 0, .top = 10};
  gpu_->seconds_per_work = 1;
  const auto record = run(hop);
  EXPECT_EQ("", record.trouble);
  const double whole = 1 + 4 * 64 * 16; // reported alike for the short and the long run
  EXPECT_DOUBLE_EQ(whole / 10, record.figures.at("kernel_seconds_per_hop"));
  EXPECT_DOUBLE_EQ(0, record.figures.at("marginal_kernel_seconds_per_hop"));
}

TEST_F(cases, of_hops_whose_frontier_dies_are_trouble) {
  auto hop = small(operation::spread);
  hop.kind = case_kind::hop;
  hop.work.spread = {.max_hops = 10, .decay = 0.001f, .threshold = 0.5f, .top = 10};
  EXPECT_THAT(run(hop).trouble, HasSubstr("died out"));
}

TEST(hop_cases, keep_the_frontier_dense_and_activation_below_saturation) {
  for (const auto& each : all_cases()) {
    if (each.kind != case_kind::hop || each.work.rows > 10'000) continue;
    dataset_shelf shelf;
    auto shape = each.work;
    shape.items = 1;
    shape.spread.top = 0;
    const auto data = shelf.get(shape);
    ASSERT_TRUE(data);
    spread_scratch scratch;
    const auto seeds = make_payload(shape, *data, 1)->seed_sets.front();
    const auto graph = (*data)->graph()->view();
    shape.spread.max_hops = 3;
    const auto three = spread(graph, seeds, shape.spread, scratch);
    shape.spread.max_hops = 10;
    const auto ten = spread(graph, seeds, shape.spread, scratch);
    EXPECT_EQ(10u, ten.hops);
    EXPECT_EQ(each.work.rows, three.hits.size()) << "every node is reached";
    EXPECT_EQ(7 * graph.edges, ten.edges_touched - three.edges_touched) << "and stays active";
    EXPECT_LT(ten.hits.front().score, 1) << "without saturating";
  }
}

} // namespace
} // namespace engram::bench
