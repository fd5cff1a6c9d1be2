#include "engram/actors/router_logic.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/kernels/cosine.hpp"

#include <algorithm>
#include <utility>

namespace engram {

/// Returns true if another device repeats what `run` has answered.
bool router_logic::maybe_shadow(const device_run& run, route_reason reason,
                                const std::vector<item_output>& outputs) {
  const auto device = shadow_device(run, reason);
  if (device) start_shadow(run, *device, std::make_shared<const std::vector<item_output>>(outputs));
  return device.has_value();
}

/// Returns who repeats the batch that `run` answered, if anybody does.
std::optional<std::size_t> router_logic::shadow_device(const device_run& run, route_reason reason) {
  const auto holds_data = [&](std::size_t d) {
    return !run.batch->data || core_.workers[d]->device->is_resident(run.batch->data->key);
  };
  // A half-open GPU proves itself on copies of what the CPU answers.
  if (run.device == 0)
    for (std::size_t d = 1; d < core_.workers.size(); ++d)
      if (core_.workers[d]->breaker == breaker_state::half_open && has_credit(d) && holds_data(d) &&
          !is_being_probed(d))
        return d;
  // A share of the traffic is repeated on the other side, so that neither cost line goes stale.
  if (core_.workers.size() == 1 || reason < route_reason::below_min_batch) return std::nullopt;
  if (!core_.ledger.waiting().empty()) return std::nullopt; // no answer waits for a shadow run
  shadow_debt_ = std::min(shadow_debt_ + options_->routing.shadow_share, 2.0);
  if (shadow_debt_ < 1) return std::nullopt;
  const auto is_idle = [&](std::size_t d) {
    return core_.workers[d]->up && core_.ledger.runs_on(d) == 0;
  };
  if (run.device > 0) {
    constexpr double most_seconds = 0.02; // a longer one would keep the CPU from others
    if (!is_idle(0) || predict(*run.batch, 0).value_or(0) > most_seconds) return std::nullopt;
    shadow_debt_ -= 1;
    return 0;
  }
  for (std::size_t d = 1; d < core_.workers.size(); ++d)
    if (core_.workers[d]->breaker == breaker_state::closed && is_idle(d) && holds_data(d)) {
      shadow_debt_ -= 1;
      return d;
    }
  return std::nullopt;
}

void router_logic::start_shadow(const device_run& answered, std::size_t device,
                                std::shared_ptr<const std::vector<item_output>> expected) {
  if (!has_credit(device) || core_.workers[device]->breaker == breaker_state::open) return;
  device_run run;
  run.kind = run_kind::shadow;
  run.device = device;
  run.batch = answered.batch;
  run.other_device = answered.device;
  run.other_dispatched = answered.dispatched;
  run.expected = std::move(expected);
  core_.shadow_runs.fetch_add(1, std::memory_order_relaxed);
  start(std::move(run));
}

/// Returns how a run that compares counts for `device`.
device_report::kind router_logic::verdict_on(std::size_t device) const {
  const bool half_open = core_.workers[device]->breaker == breaker_state::half_open;
  return half_open ? device_report::kind::probe : device_report::kind::outcome;
}

void router_logic::judge_shadow(const device_run& run, const run_report& report) {
  const auto& outcome = report.outcome;
  const auto verdict = verdict_on(run.device);
  const bool half_open = verdict == device_report::kind::probe;
  if (outcome.fault) {
    on_lost_shadow(run);
    if (run.late) return; // judged when its limit passed
    return tell(!half_open && is_loss(*outcome.fault) ? device_report::kind::fatal : verdict, run,
                false, std::string{to_string(outcome.fault->kind)});
  }
  core_.numbers.count_check(run.device > 0 ? run.device : run.other_device);
  if (outcome.outputs != *run.expected) return on_wrong_answer(run, report);
  if (run.late) return;
  tell(half_open ? device_report::kind::probe : device_report::kind::sample, run, true, "",
       outcome.times.device_seconds);
}

bool router_logic::is_being_probed(std::size_t device) const {
  return std::ranges::any_of(core_.ledger.runs(), [&](const auto& each) {
    const auto& run = each.second;
    return run.kind == run_kind::shadow && run.device == device;
  });
}

void router_logic::on_probes_wanted() {
  follow_options();
  std::vector<std::size_t> wanted;
  core_.probes_wanted.take(wanted);
  // As often as each is asked for, but one round at a time.
  std::erase_if(wanted, [this](std::size_t device) {
    return core_.workers[device]->breaker != breaker_state::half_open || is_being_probed(device);
  });
  for (const auto device : wanted)
    start_known_answer(device);
}

/// Gives `device` a batch whose answer is worked out here and now: it is small, and the CPU's
/// worker may be busy for long.
void router_logic::start_known_answer(std::size_t device) {
  device_run answered;
  answered.batch = known_answer_batch(device);
  answered.dispatched = core_.clock.now();
  start_shadow(
      answered, device,
      std::make_shared<const std::vector<item_output>>(compute_reference(*answered.batch)));
}

/// Returns a small batch whose answer the CPU can give: rows of a resident collection against one
/// of them, or, without one, fixed vectors against each other. Collections and rows take turns, so
/// that in time all of the device's memory is looked at.
std::shared_ptr<work_batch> router_logic::known_answer_batch(std::size_t device) {
  constexpr std::size_t most_rows = 64;
  constexpr std::size_t most_numbers = 1 << 16;
  auto payload = std::make_shared<work_payload>();
  auto resident = core_.datasets.list();
  std::erase_if(resident, [&](const dataset_ptr& data) {
    return !data->collection() || !core_.workers[device]->device->is_resident(data->key);
  });
  const auto turn = known_answers_++;
  if (!resident.empty()) {
    const auto& data = resident[turn % resident.size()];
    const auto* rows = data->collection();
    const auto count =
        std::min({rows->size(), most_rows, std::max<std::size_t>(most_numbers / rows->dim(), 1)});
    const auto first = turn / resident.size() * count % (rows->size() - count + 1);
    payload->op = operation::score;
    payload->data = data;
    payload->dim = rows->dim();
    payload->queries = rows->row(first);
    for (std::size_t r = first; r < first + count; ++r)
      payload->ids.push_back(static_cast<row_id>(r));
  }
  if (!payload->data) {
    payload->op = operation::similarity;
    payload->dim = 64;
    for (std::size_t i = 0; i < 8 * payload->dim; ++i)
      payload->targets.push_back(static_cast<float>((i * 37) % 101) - 50.0f);
    payload->queries.assign(payload->targets.begin(), payload->targets.begin() + 64);
  }
  payload->inverse_norms = {inverse_norm(payload->queries)};
  return whole_batch(payload);
}

} // namespace engram
