#include "engram/devices/cpu_device.hpp"
#include "engram/tests/simulation/life.hpp"

#include <algorithm>
#include <utility>

namespace engram::simulation {

using namespace std::chrono_literals;

namespace {

/// Longer than any cool-down, back-off, hang and start that a world has.
constexpr auto time_to_recover = 20s;
/// The CPU may fail a batch so often before its requests fail.
constexpr int most_cpu_failures = 3;

} // namespace

void life::on_begin(std::size_t device, const work_batch_ptr& batch) {
  if (!tale_.is_told()) return;
  tell_events();
  std::string kind = "run";
  run_id last = 0;
  for (const auto& [id, run] : core().ledger.runs())
    if (run.batch == batch && run.device == device && id > last) {
      last = id;
      kind = run.kind == run_kind::primary ? "batch" : "shadow copy of batch";
    }
  tale_.add(name_of(device), "begins " + kind + " " + std::to_string(batch->id) + ": " +
                                 std::string{to_string(batch->op)} + ", " +
                                 std::to_string(batch->item_count()) + " items" + riders(*batch));
}

void life::on_end(std::size_t device, const work_batch_ptr& batch, const run_outcome& outcome) {
  if (tale_.is_told()) {
    tell_events();
    tale_.add(name_of(device),
              "ends batch " + std::to_string(batch->id) +
                  (outcome.fault ? " with " + std::string{to_string(outcome.fault->kind)} + ": " +
                                       outcome.fault->message
                                 : ""));
  }
  if (outcome.fault) {
    if (device == 0) note_cpu_failure(batch);
    return;
  }
  note_finding(device, batch, outcome);
  const auto right = compute_reference(*batch);
  bool is_wrong = outcome.outputs.size() != right.size();
  for (std::size_t i = 0; i < right.size() && !is_wrong; ++i)
    if (outcome.outputs[i] != right[i]) {
      is_wrong = true;
      tale_.add(name_of(device), "computed something wrong in batch " + std::to_string(batch->id));
      if (const auto found = number_of_.find(batch->items[i].payload.get());
          found != number_of_.end())
        asked_[found->second]->made_wrong = true;
    }
  if (!is_wrong) return;
  ++wrong_runs_;
  std::uint64_t made = 0;
  for (const auto& site : core().faults->list())
    if (kind_of(site.name) == trouble_kind::corruption) made += site.fired;
  if (wrong_runs_ > made) fail(name_of(device) + " computed something wrong by itself");
}

void life::note_cpu_failure(const work_batch_ptr& batch) {
  const auto is_answer = [&](const auto& each) {
    return each.second.batch == batch && each.second.device == 0 &&
           each.second.kind == run_kind::primary;
  };
  if (std::ranges::none_of(core().ledger.runs(), is_answer)) return; // a copy, or given up before
  if (++cpu_failures_[batch->id] < most_cpu_failures) return;
  for (const auto& item : batch->items)
    if (const auto found = number_of_.find(item.payload.get()); found != number_of_.end())
      asked_[found->second]->cpu_gave_up = true;
}

void life::note_finding(std::size_t device, const work_batch_ptr& batch,
                        const run_outcome& outcome) {
  for (const auto& [id, run] : core().ledger.runs()) {
    if (run.batch != batch || run.device != device || !run.expected) continue;
    if (outcome.outputs == *run.expected) continue;
    auto& accused = breakers_[name_of(device > 0 ? device : run.other_device)];
    accused.found_wrong.push_back(device > 0 ? run.dispatched : run.other_dispatched);
    if (clock_->now() < run.limit) ++findings_;
  }
}

void life::follow_breakers(const pipeline_event& event) {
  if (event.kind != "breaker" && event.kind != "wrong_answer") return;
  auto& guard = breakers_[event.subject];
  if (event.kind == "wrong_answer") {
    if (guard.found_wrong.empty()) return fail("a wrong answer was found where none was");
    const auto dispatched = guard.found_wrong.front();
    guard.found_wrong.pop_front();
    const bool was_open_since = guard.proving_since > dispatched;
    if (guard.state != breaker_state::open && !was_open_since && !guard.has_to_open)
      guard.has_to_open = event.when;
    return;
  }
  if (event.detail.find("-> open") != event.detail.npos) {
    guard.state = breaker_state::open;
    guard.has_to_open.reset();
  } else if (event.detail.find("-> half_open") != event.detail.npos) {
    guard.state = breaker_state::half_open;
    guard.proving_since = event.when;
  } else {
    guard.state = breaker_state::closed;
  }
}

std::string life::riders(const work_batch& batch) const {
  std::string text;
  for (const auto& item : batch.items)
    if (const auto found = number_of_.find(item.payload.get()); found != number_of_.end())
      text += (text.empty() ? " for requests " : " ") + std::to_string(found->second);
  return text;
}

void life::look() {
  tell_events();
  note_hold_ups();
  look_at_memory();
  for (std::size_t g = 0; g < hosts_.size(); ++g)
    if (hosts_[g] && !hosts_[g]->problems().empty())
      fail("gpu" + std::to_string(g) + ": " + hosts_[g]->problems().front());
  if (!is_over()) look_for_overdue();
}

void life::look_at_memory() {
  for (std::size_t d = 1; d < core().workers.size(); ++d) {
    const auto memory = core().workers[d]->device->budget();
    if (memory.used_bytes > memory.budget_bytes)
      fail(name_of(d) + " uses " + std::to_string(memory.used_bytes) + " bytes of a budget of " +
           std::to_string(memory.budget_bytes));
  }
}

void life::look_for_overdue() {
  const auto latest = clock_->now() - slack_;
  if (std::ranges::any_of(idle_, [&](const interval& each) { return each.to > latest; })) return;
  for (const auto& [id, run] : core().ledger.runs())
    if (run.limit < latest)
      fail("run " + std::to_string(id) + " is past its limit, and nobody looks");
  for (std::size_t d = 1; d < core().breakers.size(); ++d) {
    const auto& guard = core().breakers[d];
    if ((guard.state() == breaker_state::closed) == guard.timer().has_value())
      fail(name_of(d) + "'s breaker is " + std::string{to_string(guard.state())} +
           (guard.timer() ? " with" : " without") + " a timer");
    if (guard.timer() && *guard.timer() < latest)
      fail(name_of(d) + "'s breaker was not told that its time has come");
  }
  for (const auto& [name, guard] : breakers_)
    if (guard.has_to_open && *guard.has_to_open < latest)
      fail(name + " answered wrong, which was found, and its breaker did not open");
  const auto due = core().windows.due();
  if (due && *due < latest && core().outstanding_batches() < core().capacity())
    fail("a window is overdue although there is room");
}

void life::recover() {
  tale_.add("---", "all trouble ends");
  core().faults->disarm_all();
  auto kind_options = *core().options();
  kind_options.gpu.force_cpu_mode = false;
  kind_options.gpu.gpu_min_batch_size = 1;
  kind_options.gpu.thresholds.gpu_speedup_threshold = 1.0;
  kind_options.admission.max_in_flight = 1'000;
  core().set_options(kind_options);
  cpu_->set_pace(usual_pace);
  publish_vectors(8); // room for batches is there again
  forgive_lost_uploads();
  duration longest{};
  for (auto* host : hosts_) {
    if (!host) continue;
    host->fail_starts(0);
    host->thaw();
    longest = std::max(longest, host->longest_return());
  }
  pass(longest);
  for (std::size_t g = 0; g < hosts_.size(); ++g)
    if (hosts_[g] && !hosts_[g]->policy().serving())
      fail("gpu" + std::to_string(g) + " has no runner that serves " + milliseconds(longest) +
           " after the last trouble");
  pass(time_to_recover);
  look();
  if (is_over()) return; // gave up after all
  for (std::size_t d = 1; d < core().workers.size(); ++d)
    if (core().workers[d]->breaker != breaker_state::closed)
      fail(name_of(d) + " is stuck: its breaker is " +
           std::string{to_string(core().workers[d]->breaker)});
  try_devices();
  serve_as_ever();
  look_at_what_is_left();
}

void life::forgive_lost_uploads() {
  for (std::size_t d = 1; d < core().workers.size(); ++d)
    if (!hosts_[d - 1] && lost_in_upload_[d] && core().workers[d]->breaker == breaker_state::closed)
      core().workers[d]->device->reset();
}

void life::try_devices() {
  for (std::size_t d = 1; d < core().workers.size(); ++d) {
    const work_batch_ptr batch = whole_batch(similarity(1));
    auto is_right = std::make_shared<bool>(false); // it may answer when nobody waits any more
    core().workers[d]->device->run(batch, [is_right, batch](const run_outcome& outcome) {
      *is_right = !outcome.fault && outcome.outputs == compute_reference(*batch);
    });
    pass(10ms);
    if (!*is_right) fail(name_of(d) + " does not answer");
  }
}

void life::serve_as_ever() {
  const auto changes = report_.breaker_changes;
  const auto first = asked_.size();
  // Failures from before are still in an outcome window that was too short to judge them.
  bool is_clean = !world_.is_tight();
  for (std::size_t d = 1; d < core().breakers.size(); ++d)
    is_clean = is_clean && core().breakers[d].success_rate() == 1.0;
  for (int i = 0; i < 5; ++i) {
    ask(random_payload(), 5s);
    pass(100ms);
  }
  pass(time_to_recover);
  look();
  for (auto r = first; r < asked_.size(); ++r)
    if (asked_[r]->answers.size() != 1 || !asked_[r]->answers[0].ok() ||
        (asked_[r]->answers[0].trace.fell_back && !world_.is_tight()))
      fail("request " + std::to_string(r) + " was not answered as if nothing had ever happened");
  if (report_.breaker_changes != changes && is_clean) fail("a breaker changed without any trouble");
}

void life::look_at_what_is_left() {
  auto& core = this->core();
  const auto nothing = [this](std::size_t left, const char* what) {
    if (left > 0) fail(std::to_string(left) + " " + what + " left at the end");
  };
  nothing(core.ledger.outstanding(), "batches are");
  nothing(core.ledger.runs().size(), "runs are");
  nothing(core.ledger.waiting().size(), "waiting batches are");
  nothing(core.windows.waiting(), "requests in windows are");
  nothing(core.inbox.size() + core.entries.size() + core.orders.size() + core.run_reports.size() +
              core.device_reports.size(),
          "pieces of work between actors are");
  if (wrong_runs_ == 0 && core.shadow_mismatches > 0)
    fail("shadow runs differed although nothing was computed wrongly");
  // Where an actor dies or the clock leaps, a run may be given up as its report comes.
  if (!world_.actor_deaths && !world_.leaps && core.shadow_mismatches < findings_)
    fail("wrong answers were compared and not found");
  for (std::size_t d = 0; d < core.workers.size(); ++d) {
    nothing(core.ledger.runs_on(d), "runs on a device are");
    nothing(core.workers[d]->jobs.size() + core.workers[d]->quick_jobs.size(), "jobs are");
  }
  for (std::size_t d = 1; d < core.workers.size(); ++d) {
    auto& device = *core.workers[d]->device;
    device.reset(); // what hung when its worker died is forgotten now
    std::uint64_t resident = 0;
    for (const auto& data : core.datasets.list())
      if (device.is_resident(data->key)) resident += data->resident_bytes();
    if (device.budget().used_bytes != resident)
      fail(name_of(d) + " uses " + std::to_string(device.budget().used_bytes) +
           " bytes, and its datasets " + std::to_string(resident));
  }
}

void life::stop() {
  tale_.add("---", "the pipeline stops");
  core().gate.close();
  core().state = pipeline_state::draining;
  pass(std::chrono::milliseconds{dice_.pick(0, 100)});
  stopped_ = true;
  actors_->stop();
}

void life::finish() {
  if (is_over()) actors_->stop();
  core().fail_everything(ec::internal, "nobody answered this request");
  tell_events();
  note_hold_ups();
  for (std::size_t r = 0; r < asked_.size(); ++r)
    if (auto wrong = judge(r); !wrong.empty()) fail("request " + std::to_string(r) + " " + wrong);
  if (core().desk.lost > 0) fail("requests were dropped without an answer");
  if (core().gate.in_flight() > 0) fail("the gate is not empty");
  if (world_.is_calm() && !is_over()) {
    if (report_.breaker_changes > 0) fail("a breaker changed in a calm world");
    if (core().actor_restarts > 0) fail("an actor died in a calm world");
  }
  report_.requests = asked_.size();
  report_.actor_deaths = core().actor_restarts;
  for (const auto* host : hosts_)
    if (host) report_.child_deaths += host->deaths();
  tale_.add_plain(report_.verdict());
}

std::string life::judge(std::size_t number) {
  const auto& it = *asked_[number];
  if (it.answers.size() != 1) return "has " + std::to_string(it.answers.size()) + " answers";
  const auto& got = it.answers[0];
  if (it.answered_at > last_moment(it) + slack_) return "was answered too late";
  switch (got.failure.code) {
  case ec::none:
    if (got.output == compute_reference(*whole_batch(it.payload))[0]) {
      ++report_.right;
      if (world_.is_calm() && got.trace.fell_back) return "fell back in a calm world";
      return {};
    }
    ++report_.excused;
    return it.made_wrong ? "" : "was answered wrong";
  case ec::deadline_exceeded:
    ++report_.expired;
    if (it.answered_at < it.deadline) return "was told that its deadline is over before it was";
    if (it.deadline - it.asked_at - time_lost(it) > generous - 2s)
      return "was not answered, and had all the time that it needed";
    return {};
  case ec::cancelled:
    ++report_.cancelled;
    return it.cancelled ? "" : "was cancelled by nobody";
  case ec::overloaded:
    ++report_.refused;
    return {};
  case ec::shutting_down:
  case ec::unavailable:
    ++report_.refused;
    return it.stopped ? "" : "was told that the pipeline is gone";
  case ec::internal:
    ++report_.failed;
    return it.cpu_gave_up ? "" : "failed: " + got.failure.message;
  default:
    return "failed: " + got.failure.message;
  }
}

time_point life::last_moment(const asked& it) const {
  auto last = it.deadline;
  for (const auto& each : idle_)
    if (last + slack_ > each.from && last <= each.to) last = each.to;
  return last;
}

duration life::time_lost(const asked& it) const {
  duration sum{};
  for (const auto& each : idle_)
    if (each.to > it.asked_at && each.from < it.deadline) sum += each.to - each.from;
  return sum;
}

void life::note_idle(time_point from, time_point to) {
  idle_.push_back({from, to});
  std::ranges::sort(idle_, {}, &interval::from);
}

void life::note_hold_ups() {
  const auto& all = actors_->hold_ups();
  for (; hold_ups_noted_ < all.size(); ++hold_ups_noted_)
    note_idle(all[hold_ups_noted_].from, all[hold_ups_noted_].to);
}

} // namespace engram::simulation
