#include "engram/actors/core.hpp"

namespace engram {

namespace {

std::vector<std::string> names_of(const std::vector<std::unique_ptr<device>>& devices) {
  std::vector<std::string> names;
  names.reserve(devices.size());
  for (const auto& each : devices)
    names.push_back(each->info().name);
  return names;
}

/// Returns an event's one line: "lost (sticky): ...".
std::string detail_of(const device_event& event) {
  if (event.what == device_event::kind::note) return event.message;
  return (event.what == device_event::kind::lost ? "lost (" : "restored (") + event.cause +
         "): " + event.message;
}

} // namespace

std::string_view to_string(pipeline_state state) noexcept {
  switch (state) {
  case pipeline_state::ready:
    return "ready";
  case pipeline_state::draining:
    return "draining";
  case pipeline_state::unavailable:
    return "unavailable";
  case pipeline_state::stopped:
    return "stopped";
  }
  return "stopped";
}

breaker_limits breaker_limits_of(const pipeline_options& options) {
  const auto& b = options.gpu.breaker;
  return {.success_rate_threshold = options.gpu.thresholds.gpu_success_rate_threshold,
          .window = options.gpu.telemetry.performance_window_size,
          .cool_down = from_milliseconds(b.cool_down_ms),
          .max_cool_down = from_milliseconds(b.max_cool_down_ms),
          .jitter = b.cool_down_jitter,
          .half_open_timeout = from_milliseconds(b.half_open_timeout_ms),
          .probes_to_close = b.probes_to_close};
}

window_limits window_limits_of(const pipeline_options& options) {
  return {.max_wait = from_milliseconds(options.batching.max_wait_ms),
          .target_items = options.batching.target_batch_size};
}

pipeline_core::pipeline_core(pipeline_options initial, const clock_source& time,
                             std::unique_ptr<fault_points> points,
                             std::vector<std::unique_ptr<engram::device>> devices)
    : clock(time), faults(std::move(points)), evidence(events, clock), numbers(names_of(devices)),
      gate(initial.admission.max_in_flight), desk{clock, gate, numbers},
      verification(devices.size(), clock.now()) {
  register_faults();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    auto slot = std::make_unique<worker_slot>();
    slot->device = std::move(devices[i]);
    slot->device->listen([this, i](const device_event& event) { hear(i, event); });
    const auto& info = slot->device->info();
    slot->faults = &faults->site(info.name + ".worker", "the worker actor as it starts a batch",
                                 {fault_action::kind::delay, fault_action::kind::exit});
    slot->quick_faults =
        &faults->site(info.name + ".quick_worker",
                      "the worker actor as it starts a small batch on the control actors' thread",
                      {fault_action::kind::delay, fault_action::kind::exit});
    slot->most_runs = 2 * std::size_t{info.streams};
    capacity_ += slot->most_runs;
    workers.push_back(std::move(slot));
    breakers.emplace_back(breaker_limits_of(initial), i);
  }
  set_options(std::move(initial));
}

void pipeline_core::register_faults() {
  using kind = fault_action::kind;
  const auto handler = [this](const char* actor, const char* meaning) {
    return &faults->site(std::string{"actor."} + actor, meaning, {kind::delay, kind::exit});
  };
  const auto at_next = "the actor at its next message";
  handlers = {handler("ingest", at_next), handler("batcher", at_next), handler("router", at_next),
              handler("telemetry", at_next),
              handler("supervisor", "the supervisor as it hears of a death or restarts an actor")};
  const auto timer = [this](const char* actor) {
    return &faults->site(std::string{"timer."} + actor,
                         "the actor's timer as it is set; return: it gets lost",
                         {kind::fail, kind::delay});
  };
  timers = {timer("batcher"), timer("router"), timer("telemetry")};
}

/// A device was lost or restored: telemetry hears of it, in the order of the events.
void pipeline_core::hear(std::size_t device, const device_event& event) {
  const auto now = clock.now();
  events.add(now, "device", numbers.device_name(device), detail_of(event));
  if (event.what == device_event::kind::note) return;
  const bool lost = event.what == device_event::kind::lost;
  if (lost) numbers.count_worker_restart(device, event.cause);
  device_report report;
  report.what = lost ? device_report::kind::fatal : device_report::kind::restored;
  report.device = device;
  report.good = !lost;
  report.cause = event.cause;
  report.dispatched = now;
  device_reports.push(std::move(report));
}

pipeline_core::~pipeline_core() {
  // Devices may report runs until they are gone, to a handoff that must still be there.
  for (auto& slot : workers)
    slot->device.reset();
}

std::shared_ptr<const pipeline_options> pipeline_core::options() const {
  const std::lock_guard lock{options_mutex_};
  return options_;
}

void pipeline_core::set_options(pipeline_options next) {
  gate.set_limit(next.admission.max_in_flight);
  default_deadline = from_milliseconds(next.admission.default_deadline_ms);
  evidence.set_directory(next.gpu.verification.evidence_directory);
  auto shared = std::make_shared<const pipeline_options>(std::move(next));
  const std::lock_guard lock{options_mutex_};
  options_ = std::move(shared);
}

metrics::snapshot pipeline_core::snapshot() const {
  metrics::snapshot now;
  now.in_flight = gate.in_flight();
  now.queue_depths = {{"ingest", inbox.size()},
                      {"batcher", entries.size()},
                      {"router", orders.size() + run_reports.size()},
                      {"telemetry", device_reports.size()}};
  for (std::size_t d = 0; d < workers.size(); ++d) {
    const auto& slot = *workers[d];
    now.queue_depths.emplace_back(slot.device->info().name + "_worker",
                                  slot.jobs.size() + slot.quick_jobs.size());
    if (d > 0)
      now.gpus.push_back({d, slot.up && slot.breaker == breaker_state::closed, slot.breaker,
                          slot.override_held, slot.success_rate, slot.device->budget(),
                          slot.device->uploaded_bytes()});
  }
  return now;
}

std::string_view pipeline_core::why_unavailable() const noexcept {
  return supervised ? "The pipeline gave up because one of its actors kept dying; restart the "
                      "process and report the log."
                    : "The pipeline gave up because its supervisor died; restart the process and "
                      "report the log.";
}

void pipeline_core::fail_everything(ec code, const std::string& message) {
  std::vector<request_ptr> left;
  inbox.take(left);
  std::vector<window_entry> in_entries;
  entries.take(in_entries);
  for (auto& entry : in_entries)
    left.push_back(std::move(entry.request));
  for (auto& waiting : windows.take_all())
    left.push_back(std::move(waiting));
  std::vector<batch_order> in_orders;
  orders.take(in_orders);
  for (auto& order : in_orders)
    for (auto& each : order.requests)
      left.push_back(std::move(each));
  for (auto& [_, entry] : ledger.entries())
    for (auto& each : entry.order.requests)
      left.push_back(each);
  for (auto& each : left)
    each->fail(code, message);
}

} // namespace engram
