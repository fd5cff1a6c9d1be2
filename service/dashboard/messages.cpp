#include "engram/service/dashboard/messages.hpp"

#include "engram/service/json_writer.hpp"

#include <cmath>

namespace engram {

namespace {

/// Numbers for the eye: five digits say enough and keep the history small.
double rounded(double number) {
  if (number == 0 || !std::isfinite(number)) return number;
  const double scale = std::pow(10.0, 4 - std::floor(std::log10(std::abs(number))));
  return std::round(number * scale) / scale;
}

double to_milliseconds_tick(double seconds) {
  return std::round(seconds * 1000) / 1000;
}

void write_latency(json_writer& out, const dashboard_sample& sample) {
  out.key("latency").begin_array();
  for (const auto& each : sample.latency) {
    out.begin_array();
    if (each) out.value(rounded(each->p50)).value(rounded(each->p90)).value(rounded(each->p99));
    out.end_array();
  }
  out.end_array();
}

void write(json_writer& out, const dashboard_sample& sample) {
  out.begin_object()
      .field("number", sample.number)
      .field("at", to_milliseconds_tick(sample.at_seconds))
      .field("accepted", rounded(sample.accepted_rate))
      .field("ok", rounded(sample.ok_rate))
      .field("refused", rounded(sample.refused_rate))
      .field("failed", rounded(sample.failed_rate))
      .field("batches", rounded(sample.batch_rate))
      .field("in_flight", sample.in_flight);
  out.key("queues").begin_array();
  for (const auto depth : sample.queue_depths)
    out.value(depth);
  out.end_array().key("runs").begin_array();
  for (const auto rate : sample.run_rates)
    out.value(rounded(rate));
  out.end_array().key("success").begin_array();
  for (const auto rate : sample.success_rates)
    out.value(rounded(rate));
  out.end_array();
  write_latency(out, sample);
  out.key("sizes").begin_array();
  for (const auto& [bucket, count] : sample.batch_items)
    out.begin_array().value(bucket).value(count).end_array();
  out.end_array().key("routes").begin_array();
  for (const auto& [device, reason, count] : sample.routes)
    out.begin_array()
        .value(device)
        .value(static_cast<std::size_t>(reason))
        .value(count)
        .end_array();
  out.end_array().end_object();
}

void write(json_writer& out, const device_health& health, const device_figures& figures) {
  out.begin_object()
      .field("name", health.info.name)
      .field("kind", to_string(health.info.kind))
      .field("model", health.info.model)
      .field("available", health.available)
      .field("breaker", to_string(health.breaker))
      .field("breaker_override", to_string(health.overridden))
      .field("success_rate", rounded(health.success_rate))
      .field("memory_used_bytes", health.memory.used_bytes)
      .field("memory_budget_bytes", health.memory.budget_bytes)
      .field("restarts", health.restarts)
      .field("resident", health.resident.size())
      .field("runs", figures.runs)
      .field("run_seconds", rounded(figures.transfer_seconds + figures.kernel_seconds))
      .field("launches", figures.launches)
      .field("fallbacks", figures.fallbacks)
      .field("ooms", figures.ooms)
      .field("hedged", figures.hedged)
      .field("wrong_answers", figures.wrong_answers);
  out.key("speedup").begin_array();
  for (const auto ratio : figures.speedup)
    out.value(rounded(ratio));
  out.end_array().key("processes").begin_array();
  for (const auto& process : health.processes)
    out.value(process.role);
  out.end_array().end_object();
}

void write_now(json_writer& out, const dashboard_reading& now, std::string_view held_state,
               time_point begin) {
  const auto& counts = now.counts;
  out.begin_object()
      .field("at", to_milliseconds_tick(to_seconds(now.at - begin)))
      .field("state", held_state.empty() ? now.health.state : held_state)
      .field("ready", held_state.empty() && now.health.ready)
      .field("supervised", now.health.supervised)
      .field("in_flight", now.health.in_flight);
  out.key("totals")
      .begin_object()
      .field("accepted", counts.accepted)
      .field("answered", counts.answered)
      .field("lost", counts.lost)
      .field("late_answers", counts.late_answers)
      .field("batches", counts.batches)
      .field("shadow_runs", counts.shadow_runs)
      .field("actor_restarts", counts.actor_restarts)
      .end_object();
  out.key("actors").begin_array();
  for (const auto& actor : now.figures.actors)
    out.begin_object()
        .field("name", actor.name)
        .field("queue_depth", actor.queue_depth)
        .field("restarts", actor.restarts)
        .end_object();
  out.end_array().key("devices").begin_array();
  for (std::size_t d = 0; d < now.health.devices.size(); ++d)
    write(out, now.health.devices[d], now.figures.devices[d]);
  out.end_array().end_object();
}

void write_news(json_writer& out, const dashboard_history& history, std::string_view held_state,
                std::uint64_t after, std::span<const pipeline_event> events) {
  out.key("samples").begin_array();
  for (const auto& sample : history.samples())
    if (sample.number > after) write(out, sample);
  out.end_array();
  if (history.latest()) {
    out.key("now");
    write_now(out, *history.latest(), held_state, history.begin());
  }
  out.key("events").begin_array();
  for (const auto& event : events)
    out.begin_object()
        .field("number", event.number)
        .field("at", to_milliseconds_tick(to_seconds(event.when - history.begin())))
        .field("kind", event.kind)
        .field("subject", event.subject)
        .field("detail", event.detail)
        .end_object();
  out.end_array();
}

} // namespace

std::string encode_dashboard(const dashboard_history& history, std::string_view held_state,
                             const pipeline_options& options,
                             std::span<const pipeline_event> events) {
  json_writer out;
  out.begin_object().field("version", ENGRAM_VERSION).field("kept_samples", history.most_samples());
  out.key("operations").begin_array();
  for (std::size_t o = 0; o < operation_count; ++o)
    out.value(to_string(static_cast<operation>(o)));
  out.end_array().key("reasons").begin_array();
  for (std::size_t r = 0; r < route_reason_count; ++r)
    out.value(to_string(static_cast<route_reason>(r)));
  out.end_array().key("item_bounds").begin_array();
  if (history.latest())
    for (const auto bound : history.latest()->figures.item_bounds)
      out.value(bound);
  out.end_array();
  out.key("options")
      .begin_object()
      .field("gpu_min_batch_size", options.gpu.gpu_min_batch_size)
      .field("gpu_speedup_threshold", options.gpu.thresholds.gpu_speedup_threshold)
      .field("gpu_success_rate_threshold", options.gpu.thresholds.gpu_success_rate_threshold)
      .field("target_batch_size", options.batching.target_batch_size)
      .field("max_wait_ms", options.batching.max_wait_ms)
      .field("max_in_flight", options.admission.max_in_flight)
      .end_object();
  write_news(out, history, held_state, 0, events);
  return out.end_object().take();
}

std::string encode_dashboard_update(const dashboard_history& history, std::string_view held_state,
                                    std::uint64_t after, std::span<const pipeline_event> events) {
  json_writer out;
  out.begin_object();
  write_news(out, history, held_state, after, events);
  return out.end_object().take();
}

} // namespace engram
