#include "engram/actors/telemetry_logic.hpp"

#include <algorithm>
#include <string>

namespace engram {

namespace {

/// A half-open device that had no probe for so long is given a known-answer batch.
constexpr auto quiet_time = std::chrono::milliseconds{20};

} // namespace

telemetry_logic::telemetry_logic(pipeline_core& core)
    : core_(core), options_(core.options()), ask_at_(core.workers.size()) {
  publish();
}

void telemetry_logic::on_reports() {
  follow_options();
  core_.device_reports.take(reports_);
  const auto now = core_.clock.now();
  follow_overrides(now);
  for (const auto& report : reports_)
    hear(report, now);
  reports_.clear();
  publish();
}

void telemetry_logic::on_timer() {
  follow_options();
  const auto now = core_.clock.now();
  follow_overrides(now);
  for (auto& each : core_.breakers)
    each.on_timer(now);
  publish();
  for (std::size_t d = 1; d < ask_at_.size(); ++d)
    if (ask_at_[d] && now >= *ask_at_[d]) {
      core_.probes_wanted.push(d);
      ask_at_[d] = now + quiet_time;
    }
}

void telemetry_logic::hear(const device_report& report, time_point now) {
  if (report.good && report.device_seconds > 0)
    core_.costs.add({report.op, report.device, report.dataset}, report.work, report.device_seconds);
  if (report.device == 0) return; // the CPU has no breaker: there is nothing to fall back to
  auto& guard = core_.breakers[report.device];
  if (report.dispatched < guard.proving_since()) return;
  switch (report.what) {
  case device_report::kind::restored:
    guard.on_restored(now, report.cause);
    // It has answered already, so that nothing is gained by asking it one thing at a time.
    for (std::uint32_t probe = 0; probe < options_->gpu.breaker.probes_to_close; ++probe)
      core_.probes_wanted.push(report.device);
    return;
  case device_report::kind::outcome:
    return guard.on_outcome(report.good, now, report.cause);
  case device_report::kind::sample:
  case device_report::kind::overridden: // it has rung, and that was all
    return;
  case device_report::kind::probe:
    ask_at_[report.device] = now + quiet_time;
    return guard.on_probe(report.good, now, report.cause);
  case device_report::kind::fatal:
    return guard.on_fatal(now, report.cause);
  }
}

void telemetry_logic::publish() {
  for (std::size_t d = 1; d < core_.workers.size(); ++d) {
    auto& guard = core_.breakers[d];
    auto& slot = *core_.workers[d];
    slot.breaker = guard.state();
    slot.success_rate = guard.success_rate();
    for (const auto& change : guard.take_transitions())
      core_.events.add(change.when, "breaker", slot.device->info().name,
                       std::string{to_string(change.from)} + " -> " +
                           std::string{to_string(change.to)} + ": " + change.cause);
    if (const auto before = slot.override_held.exchange(guard.overridden());
        before != guard.overridden())
      core_.events.add(core_.clock.now(), "override", slot.device->info().name,
                       std::string{to_string(before)} + " -> " +
                           std::string{to_string(guard.overridden())});
    if (guard.state() != breaker_state::half_open)
      ask_at_[d].reset();
    else if (!ask_at_[d])
      ask_at_[d] = core_.clock.now() + quiet_time;
  }
}

std::optional<time_point> telemetry_logic::next_due() const {
  std::optional<time_point> first;
  const auto consider = [&first](std::optional<time_point> when) {
    if (when) first = first ? std::min(*first, *when) : *when;
  };
  for (std::size_t d = 1; d < core_.breakers.size(); ++d) {
    consider(core_.breakers[d].timer());
    consider(ask_at_[d]);
  }
  return first;
}

void telemetry_logic::follow_options() {
  auto now = core_.options();
  if (now == options_) return;
  options_ = std::move(now);
  for (auto& each : core_.breakers)
    each.set_limits(breaker_limits_of(*options_));
}

void telemetry_logic::follow_overrides(time_point now) {
  for (std::size_t d = 1; d < core_.workers.size(); ++d)
    core_.breakers[d].set_override(core_.workers[d]->override_wanted, now);
}

} // namespace engram
