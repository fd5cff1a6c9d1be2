#include "engram/tests/devices/sim_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <set>
#include <string>
#include <thread>

namespace engram {
namespace {

using test::batch_of;
using test::sample_work;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using namespace std::chrono_literals;

class sim_device : public test::sim_test {};

/// What the slow card takes for `batch` of searches.
duration search_time(const work_batch& batch) {
  const auto bytes = static_cast<double>(input_bytes(batch) + output_bytes(batch));
  const auto kernel =
      std::max(static_cast<double>(batch.data->resident_bytes()), 2.0 * batch.work()) * 1e-9;
  return from_seconds(100e-6 + bytes * 1e-9 + kernel);
}

TEST_F(sim_device, answers_exactly_when_the_profile_says) {
  const auto start = clock->now();
  const auto box = run(batch);
  clock->advance(search_time(*batch) - 1ns);
  EXPECT_FALSE(*box);
  clock->advance(2ns); // the sum of three times may round differently
  ASSERT_EQ(box->times, 1);
  EXPECT_NEAR(to_seconds(box->when - start), to_seconds(search_time(*batch)), 2e-9);
  EXPECT_FALSE(box->outcome.fault);
  EXPECT_EQ(box->outcome.outputs, compute_reference(*batch));
}

TEST_F(sim_device, is_limited_by_arithmetic_when_there_are_many_queries) {
  // 100 rows of 16 are 6,800 bytes and 7 us; 20 queries need 64 us of arithmetic.
  const auto many = batch_of(sample.search(data, 20, 5));
  const auto box = run(many);
  clock->advance(1s);
  EXPECT_DOUBLE_EQ(box->outcome.times.kernel_seconds, 2.0 * 20 * 100 * 16 * 1e-9);
}

TEST_F(sim_device, is_limited_by_memory_when_there_is_one_query) {
  const auto few = batch_of(sample.search(data, 1, 5));
  const auto box = run(few);
  clock->advance(1s);
  EXPECT_DOUBLE_EQ(box->outcome.times.kernel_seconds,
                   static_cast<double>(data->resident_bytes()) * 1e-9);
}

TEST_F(sim_device, takes_time_for_every_edge_of_every_hop) {
  const auto graph = sample.graph(50, 4);
  ASSERT_TRUE(gpu->publish(graph));
  auto payload = std::make_shared<work_payload>(*sample.spread(graph, 3));
  payload->spread.max_hops = 4;
  const auto box = run(batch_of(payload));
  clock->advance(10s);
  EXPECT_DOUBLE_EQ(box->outcome.times.kernel_seconds,
                   3.0 * 4 * static_cast<double>(graph->graph()->edges()) / 1e6);
  EXPECT_EQ(box->outcome.outputs, compute_reference(*batch_of(payload)));
}

TEST_F(sim_device, reports_the_times_of_its_profile) {
  const auto box = run(batch);
  clock->advance(1s);
  const auto& times = box->outcome.times;
  EXPECT_DOUBLE_EQ(times.transfer_seconds,
                   static_cast<double>(input_bytes(*batch) + output_bytes(*batch)) * 1e-9);
  EXPECT_DOUBLE_EQ(times.device_seconds, 100e-6 + times.transfer_seconds + times.kernel_seconds);
}

TEST_F(sim_device, answers_similarity_without_a_dataset) {
  const auto pairs = batch_of(sample.similarity(16, 30));
  const auto box = run(pairs);
  clock->advance(1s);
  EXPECT_EQ(box->outcome.outputs, compute_reference(*pairs));
}

TEST_F(sim_device, does_nothing_outside_its_alarms) {
  const auto box = run(batch);
  EXPECT_FALSE(*box);
  clock->advance(1s);
  EXPECT_TRUE(*box);
  EXPECT_EQ(clock->pending(), 0u);
}

TEST_F(sim_device, works_on_as_many_batches_at_once_as_it_has_streams) {
  const auto start = clock->now();
  const auto first = run(batch), second = run(batch), third = run(batch);
  clock->advance(1s);
  EXPECT_EQ(second->when, first->when);
  EXPECT_EQ(third->when - start, 2 * (first->when - start));
}

TEST_F(sim_device, says_what_it_is) {
  EXPECT_EQ(gpu->info().name, "gpu0");
  EXPECT_EQ(gpu->info().kind, device_kind::simulated);
  EXPECT_EQ(gpu->info().model, "simulated Slow Card");
  EXPECT_EQ(gpu->info().streams, 2u);
}

TEST(sim_profiles, are_known_by_name) {
  std::set<std::string_view> names;
  for (const auto& profile : sim_profiles()) {
    names.insert(profile.name);
    EXPECT_EQ(find_sim_profile(profile.name), &profile);
    EXPECT_THAT(std::string(profile.model), StartsWith("NVIDIA"));
    for (const double figure :
         {profile.launch_seconds, profile.pcie_bytes_per_second, profile.memory_bytes_per_second,
          profile.flops, profile.edges_per_second})
      EXPECT_GT(figure, 0.0) << profile.name;
  }
  EXPECT_EQ(names, (std::set<std::string_view>{"rtx3060", "t4", "a100", "h100"}));
  EXPECT_EQ(find_sim_profile("voodoo"), nullptr);
}

// -- memory --

TEST_F(sim_device, uses_no_more_than_its_share_of_the_memory) {
  EXPECT_EQ(gpu->info().memory_bytes, 1'000'000u);
  EXPECT_EQ(gpu->budget().budget_bytes, 500'000u);
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
}

TEST_F(sim_device, takes_a_resident_dataset_once) {
  EXPECT_TRUE(gpu->is_resident(data->key));
  ASSERT_TRUE(gpu->publish(data));
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
}

TEST_F(sim_device, refuses_a_dataset_that_does_not_fit_and_says_by_how_much) {
  const auto before = gpu->budget().used_bytes;
  const auto large = sample.collection(2'000, 64);
  const auto published = gpu->publish(large);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, ec::resource_exhausted);
  const auto needed = large->resident_bytes(), free = 500'000 - before;
  EXPECT_THAT(published.error().message, AllOf(HasSubstr(std::to_string(needed) + " bytes"),
                                               HasSubstr(std::to_string(free) + " of 500000"),
                                               HasSubstr(std::to_string(needed - free))));
  EXPECT_FALSE(gpu->is_resident(large->key));
  EXPECT_EQ(gpu->budget().used_bytes, before);
}

TEST_F(sim_device, holds_memory_for_a_batch_while_it_lives) {
  const auto resident = gpu->budget().used_bytes;
  run(batch);
  EXPECT_EQ(gpu->budget().used_bytes, resident + gpu->workspace_bytes(*batch));
  clock->advance(1s);
  EXPECT_EQ(gpu->budget().used_bytes, resident);
}

TEST_F(sim_device, runs_out_of_memory_for_a_batch_that_does_not_fit) {
  const auto large = batch_of(sample.search(data, 10'000, 5));
  const auto fault = fault_of(large);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, fault_class::oom);
  EXPECT_THAT(fault->message, HasSubstr(std::to_string(gpu->workspace_bytes(*large)) + " bytes"));
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
  EXPECT_FALSE(fault_of(batch));
}

TEST_F(sim_device, keeps_activations_for_every_seed_set) {
  const auto graph = sample.graph(50, 4);
  const auto spread = batch_of(sample.spread(graph, 3));
  EXPECT_GE(gpu->workspace_bytes(*spread), 3u * 50 * 3 * sizeof(float));
}

TEST_F(sim_device, fails_a_batch_on_a_dataset_that_it_does_not_have) {
  gpu->retire(data->key);
  const auto fault = fault_of(batch);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->kind, fault_class::transient);
  EXPECT_THAT(fault->message, HasSubstr("\"collection\" version 1"));
}

TEST_F(sim_device, frees_a_retired_dataset_when_its_last_batch_ends) {
  const auto box = run(batch);
  gpu->retire(data->key);
  EXPECT_FALSE(gpu->is_resident(data->key));
  EXPECT_GE(gpu->budget().used_bytes, data->resident_bytes());
  clock->advance(1s);
  EXPECT_FALSE(box->outcome.fault);
  EXPECT_EQ(gpu->budget().used_bytes, 0u);
}

TEST_F(sim_device, keeps_a_dataset_that_comes_back_before_it_was_freed) {
  run(batch);
  gpu->retire(data->key);
  ASSERT_TRUE(gpu->publish(data));
  clock->advance(1s);
  EXPECT_TRUE(gpu->is_resident(data->key));
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
}

TEST_F(sim_device, ignores_the_retirement_of_what_it_does_not_have) {
  gpu->retire(987'654);
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
}

// -- under the real clock --

class sim_device_in_real_time : public ::testing::Test {
protected:
  static constexpr std::size_t batches = 1'000;

  std::unique_ptr<device> make(std::string_view profile) {
    return make_sim_device({"gpu0", find_sim_profile(profile), 4, 0.8}, engine, clock, faults);
  }

  /// Returns when every alarm that is due has rung.
  void let_alarms_ring() {
    std::promise<void> rung;
    clock->call_at(clock->now(), [&] { rung.set_value(); });
    rung.get_future().wait();
  }

  std::shared_ptr<cpu_engine> engine = std::make_shared<cpu_engine>(supported_isas().back(), 2);
  std::shared_ptr<thread_alarm_clock> clock = std::make_shared<thread_alarm_clock>();

  sample_work sample{9};
  dataset_ptr data = sample.collection(200, 32);
  work_batch_ptr batch = batch_of(sample.search(data, 2, 5));
  std::vector<item_output> expected = compute_reference(*batch);
  fault_points faults{7};
};

TEST_F(sim_device_in_real_time, answers_every_batch_of_several_callers_once) {
  std::vector<std::atomic<int>> answers(batches);
  std::atomic<std::size_t> right{0}, failed{0}, total{0};
  const auto gpu = make("h100");
  ASSERT_TRUE(gpu->publish(data));
  ASSERT_TRUE(faults.arm("gpu0.launch=10%return(transient)"));
  ASSERT_TRUE(faults.arm("gpu0.complete=10%delay(0.1)"));
  {
    std::vector<std::jthread> callers;
    for (std::size_t t = 0; t < 4; ++t)
      callers.emplace_back([&, t] {
        for (std::size_t i = t; i < batches; i += 4)
          gpu->run(batch, [&, i](run_outcome outcome) {
            ++answers[i];
            if (outcome.fault)
              ++failed;
            else if (outcome.outputs == expected)
              ++right;
            ++total;
            total.notify_one();
          });
      });
  }
  for (std::size_t seen; (seen = total) < batches;)
    total.wait(seen);
  for (const auto& count : answers)
    EXPECT_EQ(count, 1);
  EXPECT_EQ(right + failed, batches);
  EXPECT_GT(failed, 0u);
  EXPECT_EQ(gpu->budget().used_bytes, data->resident_bytes());
}

TEST_F(sim_device_in_real_time, does_not_answer_before_the_profile_allows) {
  const auto gpu = make("t4");
  ASSERT_TRUE(gpu->publish(data));
  std::atomic<double> elapsed{0.0};
  run_outcome answer;
  const auto start = clock_type::now();
  gpu->run(batch, [&](run_outcome outcome) {
    answer = std::move(outcome);
    elapsed = to_seconds(clock_type::now() - start);
    elapsed.notify_one();
  });
  elapsed.wait(0.0);
  EXPECT_GE(elapsed, answer.times.device_seconds);
  EXPECT_EQ(answer.outputs, expected);
}

TEST_F(sim_device_in_real_time, says_nothing_after_it_is_gone) {
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> gone{false};
    std::atomic<int> late{0};
    auto gpu = make("h100");
    ASSERT_TRUE(gpu->publish(data));
    for (std::size_t i = 0; i < 50; ++i)
      gpu->run(batch, [&](run_outcome) { late += gone; });
    std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
    gpu.reset();
    gone = true;
    let_alarms_ring();
    EXPECT_EQ(late, 0);
  }
}

} // namespace
} // namespace engram
