#include "engram/bench/gpu/device_runner.hpp"

#include "engram/base/clock.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

namespace engram::bench {

namespace {

constexpr auto longest_wait = std::chrono::seconds{60};
// A thread that sleeps on the answer would leave its core cold for the next batch.
constexpr auto spin_time = std::chrono::milliseconds{2};

/// Where `done` leaves its news; shared with it, because a device that hangs may call it late.
struct one_run {
  std::atomic<bool> answered{false};
  std::promise<void> woken;
  time_point end;
  run_outcome outcome;
};

bool wait_for(one_run& run) {
  const auto give_up_spinning = clock_type::now() + spin_time;
  while (clock_type::now() < give_up_spinning)
    if (run.answered.load(std::memory_order_acquire)) return true;
  return run.woken.get_future().wait_for(longest_wait) == std::future_status::ready;
}

/// A run and how long it took.
struct timed_outcome {
  double wall_seconds = 0;
  run_outcome outcome;
};

result<timed_outcome> run_once(device& target, const work_batch_ptr& batch) {
  const auto run = std::make_shared<one_run>();
  const auto begin = clock_type::now();
  target.run(batch, [run](run_outcome outcome) {
    run->end = clock_type::now();
    run->outcome = std::move(outcome);
    run->answered.store(true, std::memory_order_release);
    run->woken.set_value();
  });
  if (!wait_for(*run))
    return error{ec::unavailable, target.info().name + " did not answer within 60 s"};
  if (run->outcome.fault)
    return error{ec::unavailable, target.info().name + " failed (" +
                                      std::string{to_string(run->outcome.fault->kind)} +
                                      "): " + run->outcome.fault->message};
  return timed_outcome{to_seconds(run->end - begin), std::move(run->outcome)};
}

void record(device_samples& samples, const timed_outcome& run) {
  samples.wall.push_back(run.wall_seconds);
  samples.transfer.push_back(run.outcome.times.transfer_seconds);
  samples.kernel.push_back(run.outcome.times.kernel_seconds);
  samples.device.push_back(run.outcome.times.device_seconds);
}

bool is_enough(const repeat_limits& limits, std::size_t taken, double spent) {
  return (taken >= limits.least && spent > limits.seconds) || spent > 8 * limits.seconds;
}

} // namespace

result<device_samples> measure_device(device& target, std::span<const work_batch_ptr> batches,
                                      const repeat_limits& limits) {
  device_samples samples;
  double spent = 0;
  // Every batch once, and ten runs at least: whatever the device prepares for a shape is then
  // there.
  const auto warm_up = std::max<std::size_t>(batches.size(), 10);
  for (std::size_t i = 0; i < warm_up && spent < limits.seconds / 4; ++i) {
    auto run = run_once(target, batches[i % batches.size()]);
    if (!run) return run.error();
    spent += run->wall_seconds;
    if (i == 0) samples.first_answer = std::move(run->outcome.outputs);
  }
  spent = 0;
  for (std::size_t i = 0; i < limits.repeats; ++i) {
    if (is_enough(limits, i, spent)) break;
    auto run = run_once(target, batches[i % batches.size()]);
    if (!run) return run.error();
    spent += run->wall_seconds;
    record(samples, *run);
  }
  return samples;
}

} // namespace engram::bench
