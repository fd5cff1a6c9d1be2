#include "engram/devices/cpu_device.hpp"
#include "engram/tests/devices/sample_work.hpp"

#include <gtest/gtest.h>

#include <optional>

namespace engram {
namespace {

using test::batch_of;
using test::sample_work;
using namespace std::chrono_literals;

class cpu_device : public ::testing::Test {
protected:
  /// Runs `work` and returns what `done` was called with.
  std::optional<run_outcome> run(const work_batch_ptr& work) {
    std::optional<run_outcome> answered;
    cpu->run(work, [&](run_outcome outcome) {
      EXPECT_FALSE(answered);
      answered = std::move(outcome);
    });
    return answered;
  }

  sample_work sample{1};
  work_batch_ptr batch = batch_of(sample.search(sample.collection(100, 16), 3, 5));
  fault_points faults;
  steady_clock_source clock;
  std::unique_ptr<device> cpu = make_cpu_device("cpu", supported_isas().back(), 2, faults, clock);
};

TEST_F(cpu_device, answers_before_run_returns) {
  const auto answered = run(batch);
  ASSERT_TRUE(answered);
  EXPECT_FALSE(answered->fault);
  EXPECT_EQ(answered->outputs, compute_reference(*batch));
  EXPECT_GT(answered->times.device_seconds, 0.0);
  EXPECT_EQ(answered->times.transfer_seconds, 0.0);
}

TEST_F(cpu_device, has_everything) {
  EXPECT_TRUE(cpu->publish(batch->data));
  EXPECT_TRUE(cpu->is_resident(batch->data->key));
  cpu->retire(batch->data->key);
  EXPECT_TRUE(cpu->is_resident(batch->data->key));
  EXPECT_EQ(cpu->budget().used_bytes, 0u);
  EXPECT_GT(cpu->budget().budget_bytes, 0u);
  EXPECT_EQ(cpu->workspace_bytes(*batch), input_bytes(*batch) + output_bytes(*batch));
}

TEST_F(cpu_device, says_what_it_is) {
  EXPECT_EQ(cpu->info().name, "cpu");
  EXPECT_EQ(cpu->info().kind, device_kind::cpu);
  EXPECT_FALSE(cpu->info().model.empty());
  EXPECT_EQ(cpu->info().streams, 1u);
}

TEST_F(cpu_device, fails_at_launch_when_told_to) {
  ASSERT_TRUE(faults.arm("cpu.launch=1*return(oom)"));
  const auto answered = run(batch);
  ASSERT_TRUE(answered && answered->fault);
  EXPECT_EQ(answered->fault->kind, fault_class::oom);
  EXPECT_TRUE(answered->outputs.empty());
  EXPECT_FALSE(run(batch)->fault);
}

TEST_F(cpu_device, is_slow_when_told_to) {
  ASSERT_TRUE(faults.arm("cpu.launch=1*delay(20)"));
  EXPECT_GE(run(batch)->times.device_seconds, to_seconds(20ms));
}

TEST_F(cpu_device, does_not_answer_when_it_hangs) {
  ASSERT_TRUE(faults.arm("cpu.launch=1*hang"));
  EXPECT_FALSE(run(batch));
  EXPECT_TRUE(run(batch));
}

TEST_F(cpu_device, corrupts_every_kind_of_answer_when_told_to) {
  ASSERT_TRUE(faults.arm("cpu.result=corrupt"));
  const auto vectors = sample.collection(50, 8);
  for (const auto& payload : {sample.search(vectors, 2, 3), sample.similarity(8, 4),
                              sample.score(vectors, 4), sample.spread(sample.graph(20, 3), 2)}) {
    const auto right = compute_reference(*batch_of(payload));
    EXPECT_NE(run(batch_of(payload))->outputs, right) << to_string(payload->op);
  }
}

} // namespace
} // namespace engram
