#include "engram/service/oip/statistics.hpp"

#include <algorithm>

namespace engram {

namespace {

duration seconds(double count) {
  return std::chrono::duration_cast<duration>(std::chrono::duration<double>{count});
}

std::uint64_t key_of(const served_model& model) {
  return model.data ? model.data->key : 0;
}

/// Returns the queries or seed sets that `given` answers; a similarity request is one query.
std::uint64_t inferences_of(const answer& given) {
  return given.op == operation::similarity ? 1 : given.output.counts.size();
}

void add_success(model_statistics& to, std::span<const answer> answers, duration elapsed) {
  ++to.successes;
  to.success_time += elapsed;
  // The parts of a batch ran side by side: the longest is what the inference waited for.
  answer_trace longest;
  for (const auto& each : answers) {
    const auto items = static_cast<double>(
        each.op == operation::similarity ? each.output.scores.size() : each.output.counts.size());
    to.inference_count += inferences_of(each);
    if (each.trace.batch_items > 0) to.execution_shares += items / each.trace.batch_items;
    if (each.trace.total_seconds >= longest.total_seconds) longest = each.trace;
  }
  const auto queue = seconds(longest.window_seconds + longest.queue_seconds);
  const auto input = seconds(longest.transfer_seconds);
  const auto infer = seconds(longest.kernel_seconds);
  to.queue_time += queue;
  to.input_time += input;
  to.infer_time += infer;
  to.output_time += std::max(duration::zero(), elapsed - queue - input - infer);
}

} // namespace

void inference_statistics::count(const served_model& model, std::span<const answer> answers,
                                 duration elapsed, system_time now) {
  const auto key = key_of(model);
  const auto since_1970 =
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  const std::lock_guard lock{mutex_};
  auto& mine = by_model_[model.name];
  if (mine.key > key) return; // of a version that is gone
  if (mine.key < key) mine = {key, {}};
  auto& to = mine.numbers;
  to.last_inference_ms = static_cast<std::uint64_t>(since_1970.count());
  if (std::ranges::all_of(answers, &answer::ok)) {
    add_success(to, answers, elapsed);
  } else {
    ++to.failures;
    to.failure_time += elapsed;
  }
}

model_statistics inference_statistics::of(const served_model& model) const {
  const std::lock_guard lock{mutex_};
  const auto at = by_model_.find(model.name);
  return at == by_model_.end() || at->second.key != key_of(model) ? model_statistics{}
                                                                  : at->second.numbers;
}

} // namespace engram
