#pragma once

#include "engram/devices/sim_device.hpp"
#include "engram/tests/devices/sample_work.hpp"
#include "engram/tests/support/manual_clock.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace engram::test {

/// A card with round numbers: a multiply-add takes 2 ns, a byte 1 ns on each way.
inline constexpr sim_profile slow_card{
    .name = "slow",
    .model = "Slow Card",
    .memory_bytes = 1'000'000,
    .launch_seconds = 100e-6,
    .pcie_bytes_per_second = 1e9,
    .memory_bytes_per_second = 1e9,
    .flops = 1e9,
    .edges_per_second = 1e6,
};

/// What became of one batch.
struct answer_box {
  int times = 0;
  run_outcome outcome;
  time_point when{};
  explicit operator bool() const noexcept { return times > 0; }
};

/// A simulated GPU under a clock that the test turns, with one resident collection.
class sim_test : public ::testing::Test {
protected:
  sim_test() { EXPECT_TRUE(gpu->publish(data)); }

  static std::unique_ptr<device> make(std::shared_ptr<alarm_clock> alarms, fault_points& points,
                                      std::uint32_t streams = 2) {
    const sim_options options{"gpu0", &slow_card, streams, 0.5};
    return make_sim_device(options, std::make_shared<cpu_engine>(isa::scalar, 1), std::move(alarms),
                           points);
  }

  /// Starts `work` and returns where its answer will appear.
  std::shared_ptr<answer_box> run(const work_batch_ptr& work) {
    auto box = std::make_shared<answer_box>();
    gpu->run(work, [box, alarms = clock.get()](run_outcome outcome) {
      ++box->times;
      box->outcome = std::move(outcome);
      box->when = alarms->now();
    });
    return box;
  }

  /// Starts `work`, lets a second pass, and returns how it failed.
  std::optional<device_fault> fault_of(const work_batch_ptr& work) {
    const auto box = run(work);
    clock->advance(std::chrono::seconds(1));
    EXPECT_EQ(box->times, 1);
    return box->outcome.fault;
  }

  void arm(std::string_view setting) { ASSERT_TRUE(faults.arm(setting)); }

  sample_work sample{1};
  dataset_ptr data = sample.collection(100, 16);
  work_batch_ptr batch = batch_of(sample.search(data, 2, 5));
  fault_points faults;
  std::shared_ptr<manual_alarm_clock> clock = std::make_shared<manual_alarm_clock>();
  std::unique_ptr<device> gpu = make(clock, faults);
};

} // namespace engram::test
