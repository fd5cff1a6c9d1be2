// How a GPU that computes wrongly is found: a share of its answers is repeated on the CPU after
// they were given, and an idle GPU is given a batch whose answer is known.

#include "engram/actors/router_logic.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace engram {

namespace {

/// Of a large batch a part is checked, another one each time, so that neither the copy of its
/// outputs nor the CPU's run keeps an answer waiting.
constexpr double most_cpu_seconds = 0.01;
constexpr std::uint64_t most_output_bytes = 1 << 20;
/// Checks that wait for the CPU keep their batches in memory.
constexpr std::size_t most_waiting = 8;
constexpr std::uint64_t most_waiting_bytes = 256u << 20;
/// A CPU that is never idle checks all the same after this long.
constexpr auto most_patience = std::chrono::milliseconds{500};

verification_limits verification_limits_of(const pipeline_options& options) {
  return {.check_share = options.gpu.verification.check_share,
          .canary_interval = from_milliseconds(options.gpu.verification.canary_interval_ms)};
}

/// Returns the number of the first item whose outputs differ, counted by requests' parts.
std::size_t first_difference(const std::vector<item_output>& a, const std::vector<item_output>& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

std::string describe_mismatch(const work_batch& batch, const std::vector<item_output>& gpu,
                              const std::vector<item_output>& cpu) {
  auto text = std::string{to_string(batch.op)};
  if (batch.data)
    text += " on " + batch.data->name + " version " + std::to_string(batch.data->version);
  return text + ": the CPU says otherwise, first in part " +
         std::to_string(first_difference(gpu, cpu) + 1) + " of " +
         std::to_string(batch.items.size());
}

} // namespace

void router_logic::follow_verification_options() {
  core_.verification.set_limits(verification_limits_of(*options_));
}

// -- answers that are repeated --

/// Keeps a copy of what a GPU is about to answer, if the CPU is to check it.
void router_logic::maybe_check(const device_run& run, const std::vector<item_output>& outputs) {
  if (!core_.verification.on_answer(run.device, has_room_for_check(*run.batch))) return;
  const auto items = run.batch->item_count();
  const auto count = items_to_check(*run.batch);
  const auto first = core_.checks_wanted++ * count % (items - count + 1);
  core_.checks.push_back({slice(*run.batch, outputs, first, count), run.device, run.dispatched,
                          core_.clock.now() + most_patience});
}

bool router_logic::has_room_for_check(const work_batch& batch) const {
  const auto& waiting = core_.checks;
  if (waiting.empty()) return true;
  if (waiting.size() >= most_waiting) return false;
  auto bytes = input_bytes(batch);
  for (const auto& each : waiting)
    bytes += input_bytes(*each.part.batch);
  return bytes <= most_waiting_bytes;
}

/// Returns how many items of `batch` the CPU repeats in a short time; at least one.
std::size_t router_logic::items_to_check(const work_batch& batch) const {
  const auto items = batch.item_count();
  const auto share =
      std::min(most_cpu_seconds / std::max(predict(batch, 0).value_or(0.0), 1e-9),
               static_cast<double>(most_output_bytes) / static_cast<double>(output_bytes(batch)));
  if (share >= 1) return items;
  return std::max<std::size_t>(static_cast<std::size_t>(share * static_cast<double>(items)), 1);
}

bool router_logic::is_checking() const {
  return std::ranges::any_of(core_.ledger.runs(), [](const auto& each) {
    return each.second.kind == run_kind::shadow && each.second.device == 0;
  });
}

/// Begins the check that has waited longest, one at a time: when the CPU has nothing else to do, or
/// when it never has.
void router_logic::start_check() {
  auto& waiting = core_.checks;
  if (waiting.empty() || core_.state != pipeline_state::ready || !has_credit(0) || is_checking())
    return;
  const bool cpu_is_idle = core_.ledger.waiting().empty() && core_.ledger.runs_on(0) == 0;
  if (!cpu_is_idle && core_.clock.now() < waiting.front().due) return;
  auto check = std::move(waiting.front());
  waiting.pop_front();
  device_run run;
  run.kind = run_kind::shadow;
  run.device = 0;
  run.batch = std::move(check.part.batch);
  run.other_device = check.device;
  run.other_dispatched = check.dispatched;
  run.expected = std::make_shared<const std::vector<item_output>>(std::move(check.part.outputs));
  core_.shadow_runs.fetch_add(1, std::memory_order_relaxed);
  start(std::move(run));
}

/// A run that compares came to nothing.
void router_logic::on_lost_shadow(const device_run& run) {
  if (run.device == 0) core_.verification.on_unfinished_check(run.other_device);
}

// -- canaries --

void router_logic::start_canaries() {
  const auto now = core_.clock.now();
  for (std::size_t d = 1; d < core_.workers.size(); ++d) {
    if (!core_.verification.is_canary_due(d, now)) continue;
    if (!can_take_canary(d)) {
      core_.verification.postpone_canary(d, now);
      continue;
    }
    core_.verification.on_run(d, now);
    start_known_answer(d);
  }
}

bool router_logic::can_take_canary(std::size_t device) const {
  const auto& slot = *core_.workers[device];
  const bool is_used = options_->gpu.enabled && !options_->gpu.force_cpu_mode;
  const bool cpu_is_free = core_.ledger.waiting().empty() && has_credit(0);
  return is_used && cpu_is_free && core_.state == pipeline_state::ready && slot.up &&
         slot.breaker == breaker_state::closed && core_.ledger.runs_on(device) == 0 &&
         !is_being_probed(device);
}

/// Returns when `on_timer` has a check or a canary to begin. A check that is due and finds no room
/// is begun when a run ends.
std::optional<time_point> router_logic::next_check() const {
  auto next = core_.verification.next_canary();
  const auto& waiting = core_.checks;
  if (waiting.empty() || core_.state != pipeline_state::ready || !has_credit(0) || is_checking())
    return next;
  return next ? std::min(*next, waiting.front().due) : waiting.front().due;
}

// -- findings --

/// `run` repeated what another device had answered and came to something else. Of the two, the GPU
/// is the one that is not trusted.
void router_logic::on_wrong_answer(const device_run& run, const run_report& report) {
  auto blamed = run;
  auto repeated = std::make_shared<const std::vector<item_output>>(report.outcome.outputs);
  auto gpu = repeated, cpu = run.expected;
  if (run.device == 0) {
    blamed.device = run.other_device;
    blamed.dispatched = run.other_dispatched;
    std::swap(gpu, cpu);
  }
  const auto& info = core_.workers[blamed.device]->device->info();
  core_.shadow_mismatches.fetch_add(1, std::memory_order_relaxed);
  core_.numbers.count_wrong_answer(blamed.device);
  core_.events.add(core_.clock.now(), "wrong_answer", info.name,
                   describe_mismatch(*run.batch, *gpu, *cpu));
  tell(device_report::kind::fatal, blamed, false, "wrong_answer");
  core_.evidence.keep({info.name, info.model, run.batch, gpu, cpu});
}

} // namespace engram
