#include "engram/devices/host/runner_link.hpp"

#include "engram/devices/host/batch_codec.hpp"

#include <algorithm>
#include <utility>

namespace engram {

runner_link::runner_link(host_channel channel)
    : channel_(std::move(channel)), jobs_(channel_.slots()) {
  for (auto slot = channel_.slots(); slot > 0; --slot)
    free_.push_back(slot - 1);
}

runner_link::verdict runner_link::send(host_job& job) {
  std::uint32_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return verdict::closed;
    if (free_.empty()) return verdict::full;
    number = free_.back();
    free_.pop_back();
  }
  auto& slot = channel_.slot(number);
  const auto written = write_batch(*job.batch, channel_.payload(number));
  const std::lock_guard lock(mutex_);
  if (!written || closed_) {
    free_.push_back(number);
    return closed_ ? verdict::closed : verdict::too_large;
  }
  slot.in_bytes = *written;
  slot.out_bytes = 0;
  slot.at_start = job.at_start;
  slot.at_end = job.at_end;
  const bool rings = !job.ring_is_lost;
  jobs_[number] = std::move(job);
  channel_.submit(number);
  if (rings) channel_.ring_runner();
  return verdict::sent;
}

std::optional<runner_link::ended> runner_link::next_ended() {
  const auto number = channel_.next_completed();
  if (!number) return std::nullopt;
  std::optional<host_job> job;
  {
    const std::lock_guard lock(mutex_);
    job = std::exchange(jobs_[*number], std::nullopt);
  }
  if (!job) return std::nullopt; // a runner that says it twice
  auto outcome = outcome_of(*number, *job->batch);
  ended out{std::move(*job), std::move(outcome)};
  channel_.trim(*number);
  const std::lock_guard lock(mutex_);
  free_.push_back(*number);
  return out;
}

/// Reads what a runner has written, which may be anything.
run_outcome runner_link::outcome_of(std::uint32_t number, const work_batch& batch) const {
  const auto& slot = channel_.slot(number);
  run_outcome outcome;
  outcome.times = slot.times;
  if (slot.failed) {
    outcome.fault = device_fault{slot.fault, slot.fault_message.get(), slot.injected};
    return outcome;
  }
  const auto memory = channel_.payload(number);
  const auto from = std::min<std::uint64_t>((slot.in_bytes + 63) / 64 * 64, memory.size());
  const auto count = std::min<std::uint64_t>(slot.out_bytes, memory.size() - from);
  auto outputs = read_outputs(memory.subspan(from, count), batch);
  if (outputs)
    outcome.outputs = std::move(*outputs);
  else
    outcome.fault = device_fault{fault_class::transient, "the runner's answers cannot be read"};
  return outcome;
}

std::vector<host_job> runner_link::close() {
  std::vector<host_job> left;
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto& each : jobs_)
    if (each) left.push_back(std::move(*std::exchange(each, std::nullopt)));
  return left;
}

bool runner_link::is_full() const {
  const std::lock_guard lock(mutex_);
  return !closed_ && free_.empty();
}

runner_link::load runner_link::what_it_has() const {
  load out;
  double seconds = 0;
  bool all_known = true;
  const std::lock_guard lock(mutex_);
  for (const auto& each : jobs_) {
    if (!each) continue;
    out.oldest = out.oldest ? std::min(*out.oldest, each->begun) : each->begun;
    seconds += each->batch->expected_seconds;
    all_known = all_known && each->batch->expected_seconds > 0;
  }
  if (all_known) out.predicted = from_seconds(seconds);
  return out;
}

} // namespace engram
