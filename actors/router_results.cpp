#include "engram/actors/router_logic.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace engram {

namespace {

/// The CPU's failures of one batch before they become the caller's error.
constexpr std::uint32_t most_cpu_failures = 3;
/// A GPU run that is so much over its limit counts as hung, and its place is free again.
constexpr auto hung_after = std::chrono::seconds{1};

constexpr std::string_view late_cause = "time_limit";

} // namespace

void router_logic::on_run_reports() {
  follow_options();
  core_.run_reports.take(reports_);
  for (auto& report : reports_)
    on_report(report);
  reports_.clear();
  retry_waiting();
  start_what_can_wait();
}

void router_logic::on_report(run_report& report) {
  const auto* found = core_.ledger.find_run(report.run);
  if (!found) { // given up before: lost with its worker, or hung
    core_.desk.late_answers.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const auto run = *found;
  core_.ledger.end_run(report.run);
  if (run.device > 0) core_.verification.on_run(run.device, core_.clock.now());
  if (report.skipped) return on_hedge_lost(run, hedge_fate::cancelled);
  if (run.kind == run_kind::shadow) return judge_shadow(run, report);
  if (report.outcome.fault) return on_fault(run, *report.outcome.fault);
  on_success(run, report);
}

void router_logic::on_success(const device_run& run, run_report& report) {
  const auto& times = report.outcome.times;
  core_.numbers.observe_run(run.batch->op, run.device, times);
  // A late run was counted as bad when its limit passed; its time is still worth knowing.
  tell(run.late ? device_report::kind::sample : device_report::kind::outcome, run, true, "",
       times.device_seconds);
  auto* entry = core_.ledger.find(run.batch->id);
  if (!entry) { // the other device was faster
    core_.desk.late_answers.fetch_add(1, std::memory_order_relaxed);
    return on_hedge_lost(run, hedge_fate::dropped);
  }
  on_hedge_won(*entry, run);
  if (!maybe_shadow(run, entry->reason, report.outcome.outputs) && run.device > 0)
    maybe_check(run, report.outcome.outputs);
  deliver(*entry, run, report);
  strike(run.batch->id);
}

void router_logic::deliver(ledger_entry& entry, const device_run& run, run_report& report) {
  const auto& batch = *run.batch;
  answer_trace trace;
  trace.device = core_.workers[run.device]->device->info().name;
  trace.reason = entry.reason;
  trace.attempts = entry.attempts;
  trace.fell_back = entry.fell_back && run.device == 0;
  trace.cause = entry.cause;
  trace.batch_items = static_cast<std::uint32_t>(batch.item_count());
  trace.dataset_version = batch.data ? batch.data->version : 0;
  trace.queue_seconds = to_seconds(report.started - entry.order.closed);
  trace.transfer_seconds = report.outcome.times.transfer_seconds;
  trace.kernel_seconds = report.outcome.times.kernel_seconds;
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    auto& request = *entry.order.requests[i];
    trace.window_seconds = to_seconds(entry.order.closed - request.accepted());
    request.deliver(batch.items[i].first, batch.items[i].count,
                    std::move(report.outcome.outputs[i]), trace);
  }
}

void router_logic::on_fault(const device_run& run, const device_fault& fault) {
  const auto cause = std::string{to_string(fault.kind)};
  if (fault.kind == fault_class::oom && run.device > 0) core_.numbers.count_oom(run.device);
  if (!run.late)
    tell(is_loss(fault) ? device_report::kind::fatal : device_report::kind::outcome, run, false,
         cause);
  auto* entry = core_.ledger.find(run.batch->id);
  // Of a late run the CPU was asked when its limit passed.
  if (!entry || run.late) return on_hedge_lost(run, hedge_fate::failed);
  entry->running -= 1;
  entry->cpu_failures += run.device == 0 ? 1 : 0;
  const bool can_split = fault.kind == fault_class::oom && run.device > 0 && !entry->split &&
                         entry->order.batch->item_count() > 1;
  if (can_split)
    split_and_retry(run.batch->id, run.device);
  else if (entry->cpu_failures < most_cpu_failures)
    fall_back(run.batch->id, run.device, cause);
  else {
    for (const auto& request : entry->order.requests)
      request->fail(ec::internal, "No device could run the request, in " +
                                      std::to_string(entry->attempts) +
                                      " attempts; the last one said: " + fault.message);
    strike(run.batch->id);
  }
}

void router_logic::fall_back(batch_id batch, std::size_t device, const std::string& cause) {
  auto& entry = *core_.ledger.find(batch);
  if (device > 0) {
    entry.fell_back = true;
    entry.cause = cause;
    core_.numbers.count_fallback(device, cause);
  }
  dispatch(batch);
}

void router_logic::split_and_retry(batch_id batch, std::size_t device) {
  auto whole = std::move(*core_.ledger.find(batch));
  core_.ledger.strike(batch);
  const auto half = whole.order.batch->item_count() / 2;
  batch_order halves[2];
  for (auto& part : halves) {
    part.batch = std::make_shared<work_batch>();
    part.batch->op = whole.order.batch->op;
    part.batch->data = whole.order.batch->data;
    part.batch->dim = whole.order.batch->dim;
    part.closed = whole.order.closed;
    part.earliest_deadline = whole.order.earliest_deadline;
  }
  std::size_t seen = 0;
  for (std::size_t i = 0; i < whole.order.requests.size(); ++i) {
    auto item = whole.order.batch->items[i];
    const auto into_first = std::min(item.count, half - std::min(half, seen));
    seen += item.count;
    if (into_first > 0) {
      halves[0].batch->items.push_back({item.payload, item.first, into_first});
      halves[0].requests.push_back(whole.order.requests[i]);
    }
    if (into_first < item.count) {
      halves[1].batch->items.push_back(
          {item.payload, item.first + into_first, item.count - into_first});
      halves[1].requests.push_back(whole.order.requests[i]);
    }
  }
  for (auto& part : halves) {
    const auto deadline = part.earliest_deadline;
    auto& entry = core_.ledger.enter(std::move(part));
    entry.reason = whole.reason;
    entry.attempts = whole.attempts;
    entry.split = true;
    const auto id = entry.order.batch->id;
    alarms_.push({deadline, 0, id});
    if (core_.workers[device]->up)
      start_primary(entry, device);
    else
      fall_back(id, device, "worker_lost");
  }
}

void router_logic::on_workers_changed() {
  std::vector<run_id> lost;
  for (const auto& [id, run] : core_.ledger.runs()) {
    const auto& slot = *core_.workers[run.device];
    if (!slot.up || slot.incarnation != run.incarnation) lost.push_back(id);
  }
  std::ranges::sort(lost);
  for (const auto id : lost)
    lose(id, "worker_lost");
  retry_waiting();
  start_what_can_wait();
}

void router_logic::lose(run_id id, const std::string& cause) {
  const auto run = *core_.ledger.find_run(id);
  core_.ledger.end_run(id);
  if (!run.late)
    tell(run.kind == run_kind::shadow ? verdict_on(run.device) : device_report::kind::outcome, run,
         false, cause);
  if (run.kind == run_kind::shadow) return on_lost_shadow(run);
  auto* entry = core_.ledger.find(run.batch->id);
  if (!entry || run.late) return on_hedge_lost(run, hedge_fate::failed);
  entry->running -= 1;
  fall_back(run.batch->id, run.device, cause);
}

void router_logic::on_late_run(run_id id, device_run& run, time_point now) {
  if (now < run.limit) return;
  if (run.device == 0) return lose(id, std::string{late_cause});
  if (run.late) { // and still nothing: the device hangs
    tell(device_report::kind::fatal, run, false, "hung");
    return lose(id, "hung");
  }
  run.late = true;
  run.limit = now + hung_after;
  alarms_.push({run.limit, id, 0});
  if (run.kind == run_kind::shadow)
    return tell(verdict_on(run.device), run, false, std::string{late_cause});
  tell(device_report::kind::outcome, run, false, std::string{late_cause});
  if (auto* entry = core_.ledger.find(run.batch->id)) hedge(*entry, run);
}

/// The CPU is given the batch as well; whichever answers first is used.
void router_logic::hedge(ledger_entry& entry, device_run& late) {
  entry.late_gpu = late.late_gpu = late.device;
  core_.numbers.count_hedge(late.device);
  entry.running -= 1;
  fall_back(late.batch->id, late.device, std::string{late_cause});
}

void router_logic::on_hedge_won(const ledger_entry& entry, const device_run& winner) {
  if (entry.late_gpu == 0) return;
  core_.numbers.count_hedge_win(entry.late_gpu, winner.device > 0);
  // The CPU had no room for it yet, and will find it struck when it has.
  if (entry.queued) core_.numbers.count_hedge_loser(entry.late_gpu, hedge_fate::cancelled);
}

void router_logic::on_hedge_lost(const device_run& loser, hedge_fate fate) {
  if (loser.late_gpu > 0) core_.numbers.count_hedge_loser(loser.late_gpu, fate);
}

void router_logic::on_deadline(batch_id batch, ledger_entry& entry, time_point now) {
  bool all_answered = true;
  auto next = time_point::max();
  for (const auto& request : entry.order.requests) {
    if (!request->answered() && request->deadline() <= now)
      request->fail(
          ec::deadline_exceeded,
          "The deadline passed while the request was being run; allow more time or send less.");
    if (request->answered()) continue;
    all_answered = false;
    next = std::min(next, request->deadline());
  }
  if (all_answered)
    strike(batch);
  else
    alarms_.push({next, 0, batch});
}

void router_logic::tell(device_report::kind what, const device_run& run, bool good,
                        const std::string& cause, double device_seconds) {
  core_.device_reports.push({.what = what,
                             .device = run.device,
                             .good = good,
                             .cause = cause,
                             .op = run.batch->op,
                             .dataset = run.batch->data ? run.batch->data->key : 0,
                             .work = run.batch->work(),
                             .device_seconds = device_seconds,
                             .dispatched = run.dispatched});
}

} // namespace engram
