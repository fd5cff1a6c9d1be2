#include "engram/actors/router_logic.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

/// The CPU is the last resort, so only a run that is plainly lost is given up: after this long, or
/// 20 times the prediction.
constexpr auto cpu_patience = std::chrono::seconds{10};
constexpr double cpu_patience_factor = 20;

} // namespace

router_logic::router_logic(pipeline_core& core) : core_(core), options_(core.options()) {
  auto& ledger = core_.ledger;
  follow_verification_options();
  rebuild_alarms();
  // A router that died in the middle of a handler may have left its counts wrong.
  for (auto& [id, entry] : ledger.entries()) {
    entry.running = 0;
    entry.queued = false;
  }
  for (auto& [id, run] : ledger.runs())
    if (auto* entry =
            run.kind == run_kind::primary && !run.late ? ledger.find(run.batch->id) : nullptr)
      entry->running += 1;
  // Whatever nobody works on is sent again, in its old order.
  std::vector<batch_id> idle;
  for (auto& [id, entry] : ledger.entries())
    if (entry.running == 0) idle.push_back(id);
  std::ranges::sort(idle);
  for (const auto id : idle)
    ledger.find(id)->queued = true;
  ledger.waiting().assign(idle.begin(), idle.end());
  on_workers_changed();
}

void router_logic::on_orders() {
  follow_options();
  core_.orders.take(arrived_);
  for (auto& order : arrived_) {
    const auto deadline = order.earliest_deadline;
    const auto& entry = core_.ledger.enter(std::move(order));
    core_.batches.fetch_add(1, std::memory_order_relaxed);
    alarms_.push({deadline, 0, entry.order.batch->id});
    dispatch(entry.order.batch->id);
  }
  arrived_.clear();
  drop_stale_alarms();
}

/// What no answer needs: called once those that do had their turn.
void router_logic::start_what_can_wait() {
  start_check();
  start_canaries();
}

void router_logic::dispatch(batch_id batch) {
  auto* entry = core_.ledger.find(batch);
  if (!entry || entry->queued || try_dispatch(batch, *entry)) return;
  entry->queued = true;
  core_.ledger.waiting().push_back(batch);
}

bool router_logic::try_dispatch(batch_id batch, ledger_entry& entry) {
  if (std::ranges::all_of(entry.order.requests, &pending_request::answered,
                          [](const request_ptr& r) -> const pending_request& { return *r; })) {
    strike(batch);
    return true;
  }
  // Once a device has failed it, a batch is the CPU's; its reason stays that of the first choice.
  const auto to = entry.attempts > 0 ? route{0, entry.reason} : choose(*entry.order.batch);
  if (!has_credit(to.device)) return false;
  if (entry.attempts == 0) {
    entry.reason = to.reason;
    // Before any device has seen it.
    entry.order.batch->expected_seconds = predict(*entry.order.batch, to.device).value_or(0.0);
    core_.numbers.count_batch(entry.order.batch->op, to.device, to.reason,
                              entry.order.batch->item_count());
  }
  start_primary(entry, to.device);
  return true;
}

route router_logic::choose(const work_batch& batch) {
  const auto& gpu = options_->gpu;
  const batch_facts facts{.items = batch.item_count(),
                          .cpu_queue_seconds = core_.ledger.queued_seconds(0),
                          .cpu_seconds = predict(batch, 0)};
  gpus_.clear();
  for (std::size_t d = 1; d < core_.workers.size(); ++d) {
    const auto& slot = *core_.workers[d];
    const auto memory = slot.device->budget();
    const auto seconds = predict(batch, d);
    gpus_.push_back({.device = d,
                     .resident = !batch.data || slot.device->is_resident(batch.data->key),
                     .enabled = slot.up && slot.breaker == breaker_state::closed,
                     .fits_budget = slot.device->workspace_bytes(batch) <=
                                    memory.budget_bytes - memory.used_bytes,
                     .has_credit = has_credit(d),
                     .queue_seconds = core_.ledger.queued_seconds(d) / slot.device->info().streams,
                     .gpu_seconds = seconds});
    if (facts.cpu_seconds && seconds && *seconds > 0)
      core_.numbers.set_speedup(batch.op, d, *facts.cpu_seconds / *seconds);
  }
  return decide_route({.gpu_enabled = gpu.enabled,
                       .force_cpu = gpu.force_cpu_mode,
                       .min_batch = gpu.gpu_min_batch_size,
                       .speedup_threshold = gpu.thresholds.gpu_speedup_threshold},
                      facts, gpus_);
}

void router_logic::start_primary(ledger_entry& entry, std::size_t device) {
  entry.attempts += 1;
  entry.running += 1;
  device_run run;
  run.kind = run_kind::primary;
  run.device = device;
  run.batch = entry.order.batch;
  run.late_gpu = entry.late_gpu;
  start(std::move(run), entry.struck);
}

void router_logic::start(device_run run, strike_flag struck) {
  auto& slot = *core_.workers[run.device];
  const auto& routing = options_->routing;
  run.incarnation = slot.incarnation;
  run.dispatched = core_.clock.now();
  run.predicted_seconds = predict(*run.batch, run.device).value_or(0.0);
  const auto queued = core_.ledger.queued_seconds(run.device) / slot.device->info().streams;
  const auto patience =
      run.device == 0 ? std::max<duration>(
                            from_seconds(cpu_patience_factor * run.predicted_seconds), cpu_patience)
                      : std::max(from_seconds(routing.time_limit_factor * run.predicted_seconds),
                                 from_milliseconds(routing.time_limit_floor_ms));
  run.limit = run.dispatched + from_seconds(queued) + patience;

  const bool proves_itself =
      run.kind == run_kind::shadow && slot.breaker == breaker_state::half_open;
  if (run.device > 0) {
    core_.numbers.count_launch(run.device);
    core_.verification.on_run(run.device, run.dispatched);
  }
  const auto limit = run.limit;
  auto batch = run.batch;
  const auto id = core_.ledger.start(std::move(run));
  alarms_.push({limit, id, 0});
  // Proving itself may mean a reset and uploads.
  auto& lane = !proves_itself && slot.device->is_quick(*batch) ? slot.quick_jobs : slot.jobs;
  lane.push({id, std::move(batch), proves_itself, std::move(struck)});
}

bool router_logic::has_credit(std::size_t device) const {
  const auto& slot = *core_.workers[device];
  return slot.up && core_.ledger.runs_on(device) < slot.most_runs;
}

std::optional<double> router_logic::predict(const work_batch& batch, std::size_t device) const {
  return core_.costs.predict({batch.op, device, batch.data ? batch.data->key : 0}, batch.work());
}

void router_logic::retry_waiting() {
  auto& waiting = core_.ledger.waiting();
  for (auto left = waiting.size(); left > 0; --left) {
    const auto batch = waiting.front();
    waiting.pop_front();
    if (auto* entry = core_.ledger.find(batch)) entry->queued = false;
    dispatch(batch); // goes to the back again if there is still no room for it
  }
}

void router_logic::strike(batch_id batch) {
  core_.ledger.strike(batch);
  if (core_.batcher_waits) core_.capacity_freed.ring();
}

void router_logic::on_timer() {
  follow_options();
  const auto now = core_.clock.now();
  while (!alarms_.empty() && alarms_.top().when <= now) {
    const auto due = alarms_.top();
    alarms_.pop();
    if (auto* run = due.run ? core_.ledger.find_run(due.run) : nullptr)
      on_late_run(due.run, *run, now);
    else if (auto* entry = due.batch ? core_.ledger.find(due.batch) : nullptr)
      on_deadline(due.batch, *entry, now);
  }
  retry_waiting();
  start_what_can_wait();
}

std::optional<time_point> router_logic::next_due() {
  const auto check = next_check();
  const auto first = next_alarm();
  return check && first ? std::min(*check, *first) : check ? check : first;
}

std::optional<time_point> router_logic::next_alarm() {
  while (!alarms_.empty()) {
    const auto& top = alarms_.top();
    if (top.run ? core_.ledger.find_run(top.run) != nullptr
                : core_.ledger.find(top.batch) != nullptr)
      return top.when;
    alarms_.pop();
  }
  return std::nullopt;
}

void router_logic::rebuild_alarms() {
  alarms_ = {};
  for (const auto& [id, run] : core_.ledger.runs())
    alarms_.push({run.limit, id, 0});
  for (const auto& [id, entry] : core_.ledger.entries())
    alarms_.push({entry.order.earliest_deadline, 0, id});
}

/// Most alarms are for what has long been answered; with far deadlines they would pile up.
void router_logic::drop_stale_alarms() {
  const auto live = core_.ledger.runs().size() + core_.ledger.entries().size();
  if (alarms_.size() > 1024 + 4 * live) rebuild_alarms();
}

void router_logic::follow_options() {
  auto now = core_.options();
  if (now == options_) return;
  options_ = std::move(now);
  follow_verification_options();
}

} // namespace engram
