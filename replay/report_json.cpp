#include "engram/devices/device.hpp"
#include "engram/replay/report.hpp"
#include "engram/replay/wording.hpp"

#include <nlohmann/json.hpp>

namespace engram::replay {

namespace {

using json = nlohmann::ordered_json;

double seconds(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) * 1e-9;
}

json of(const latency_histogram& took) {
  return {{"count", took.count()},
          {"mean", took.mean() * 1e-9},
          {"p50", seconds(took.quantile(0.5))},
          {"p90", seconds(took.quantile(0.9))},
          {"p99", seconds(took.quantile(0.99))},
          {"p99_9", seconds(took.quantile(0.999))},
          {"p99_99", seconds(took.quantile(0.9999))},
          {"max", seconds(took.max())}};
}

json of(const load_result& load, const report& what) {
  const auto per_second = [&](std::uint64_t number) {
    return what.measured_seconds > 0 ? static_cast<double>(number) / what.measured_seconds : 0.0;
  };
  json out{{"name", load.name},
           {"op", load.op ? json(to_string(*load.op)) : json(nullptr)},
           {"requested", load.requested},
           {"sent", load.sent},
           {"answered", load.answered},
           {"errors", load.errors},
           {"requested_per_second", per_second(load.requested)},
           {"achieved_per_second", per_second(load.completed)},
           {"response_seconds", of(load.took.response)},
           {"service_seconds", of(load.took.service)}};
  if (what.what.goal.p99) {
    out["in_time"] = load.in_time;
    out["goodput_per_second"] = per_second(load.in_time);
  }
  return out;
}

json of(const count_range& range) {
  return json::array({range.lowest, range.highest});
}

json of(const load_spec& load) {
  json out{{"name", load.name}, {"op", to_string(load.op)},  {"arrival", to_string(load.arrival)},
           {"rate", load.rate}, {"distinct", load.distinct}, {"priority", load.priority}};
  if (!load.dataset.empty()) out["dataset"] = load.dataset;
  if (!load.tenant.empty()) out["tenant"] = load.tenant;
  if (load.deadline) out["deadline_seconds"] = to_seconds(*load.deadline);
  if (load.arrival == arrival_kind::bursts) {
    out["burst_size"] = load.burst_size;
    out["burst_period_seconds"] = to_seconds(load.burst_period);
  }
  if (load.op == operation::search || load.op == operation::score) {
    out["vectors"] = to_string(load.vectors);
    out["noise"] = load.noise;
  }
  switch (load.op) {
  case operation::search:
    out["queries"] = of(load.queries);
    out["k"] = load.k;
    break;
  case operation::similarity:
    out["targets"] = of(load.targets);
    out["dim"] = load.dim;
    break;
  case operation::score:
    out["ids"] = of(load.ids);
    break;
  case operation::spread:
    out["seed_sets"] = of(load.seed_sets);
    out["seeds"] = of(load.seeds);
    out["hops"] = load.spread.max_hops;
    out["decay"] = load.spread.decay;
    out["threshold"] = load.spread.threshold;
    out["top"] = load.spread.top;
    break;
  }
  return out;
}

json of(const synthetic_dataset& made) {
  json out{{"name", made.name}, {"seed", made.seed}};
  if (made.kind == synthetic_dataset::form::vectors) {
    out["kind"] = "vectors";
    out["n"] = made.n;
    out["dim"] = made.dim;
  } else {
    out["kind"] = "graph";
    out["nodes"] = made.nodes;
    out["edges_per_node"] = made.edges_per_node;
  }
  return out;
}

json of(const scenario& what) {
  json out{{"name", what.name},
           {"summary", what.summary},
           {"file", what.file},
           {"seed", what.seed},
           {"duration_seconds", to_seconds(what.measured)},
           {"warm_up_seconds", to_seconds(what.warm_up)},
           {"verify_share", what.verify_share},
           {"loads", json::array()},
           {"datasets", json::array()},
           {"faults", json::array()},
           {"publications", json::array()},
           {"objective",
            {{"max_error_share", what.goal.max_error_share},
             {"max_overdue_share", what.goal.max_overdue_share}}}};
  for (const auto& load : what.loads)
    out["loads"].push_back(of(load));
  for (const auto& made : what.datasets)
    out["datasets"].push_back(of(made));
  for (const auto& mark : what.faults)
    out["faults"].push_back({{"at_seconds", to_seconds(mark.at)}, {"fault", mark.setting}});
  for (const auto& mark : what.publications)
    out["publications"].push_back({{"at_seconds", to_seconds(mark.at)}, {"dataset", mark.dataset}});
  if (what.goal.p99) out["objective"]["p99_seconds"] = to_seconds(*what.goal.p99);
  return out;
}

json of(const machine_info& machine) {
  return {{"processor", machine.processor},       {"cores", machine.cores},
          {"memory_bytes", machine.memory_bytes}, {"kernel", machine.kernel},
          {"compiler", machine.compiler},         {"instruction_set", machine.instruction_set}};
}

json of(const device_info& device) {
  return {{"name", device.name},
          {"kind", to_string(device.kind)},
          {"simulated", device.kind == device_kind::simulated},
          {"model", device.model},
          {"memory_bytes", device.memory_bytes},
          {"streams", device.streams}};
}

json answers_of(const report& what) {
  json rows = json::array();
  for (const auto& [source, count] : what.by_device)
    rows.push_back({{"device", source.device},
                    {"label", what.device_label(source.device)},
                    {"reason", to_string(source.reason)},
                    {"fell_back", source.fell_back},
                    {"count", count}});
  return {{"by_device", rows},
          {"fell_back", what.fell_back},
          {"fallback_causes", what.fallback_causes}};
}

json errors_of(const report& what) {
  json rows = json::array();
  for (const auto& [code, count] : what.errors) {
    const auto example = what.error_examples.find(code);
    rows.push_back(
        {{"code", code},
         {"count", count},
         {"example", example == what.error_examples.end() ? std::string{} : example->second}});
  }
  return rows;
}

json correctness_of(const report& what) {
  return {{"lost", what.lost},
          {"duplicated", what.duplicated},
          {"wrong", what.checks.wrong},
          {"made_wrong", what.checks.made_wrong},
          {"overdue", what.overdue},
          {"overdue_share", share_of(what.overdue, what.sent)},
          {"sent", what.sent},
          {"sampled", what.sampled},
          {"checked", what.checks.checked},
          {"skipped", what.checks.skipped},
          {"wrong_examples", what.checks.examples}};
}

json generator_of(const report& what) {
  return {{"late_limit_seconds", to_seconds(what.what.late_limit())},
          {"late_sends", what.late_sends},
          {"late_share", share_of(what.late_sends, what.total.sent)},
          {"unsent", what.unsent},
          {"lateness_seconds", of(what.lateness)}};
}

json counts_of(const pipeline_counts& counts) {
  return {{"accepted", counts.accepted},
          {"answered", counts.answered},
          {"lost", counts.lost},
          {"late_answers", counts.late_answers},
          {"batches", counts.batches},
          {"shadow_runs", counts.shadow_runs},
          {"shadow_mismatches", counts.shadow_mismatches},
          {"actor_restarts", counts.actor_restarts}};
}

json breaker_of(const report& what) {
  json at_start = json::object();
  for (const auto& [device, state] : what.breaker_at_start)
    at_start[device] = to_string(state);
  json changes = json::array();
  for (const auto& change : what.breaker) {
    json row{{"device", change.device},
             {"at_seconds", change.at_seconds},
             {"from", to_string(change.from)},
             {"to", to_string(change.to)},
             {"why", change.why}};
    if (const auto* fault = what.fault_before(change.at_seconds))
      row["after_fault_seconds"] = change.at_seconds - fault->at_seconds;
    changes.push_back(std::move(row));
  }
  return {{"at_start", at_start}, {"changes", changes}};
}

json slices_of(const report& what) {
  json rows = json::array();
  for (const auto& slice : what.slices) {
    const auto all = slice.all_loads();
    json p99_by_load = json::array();
    for (const auto& each : slice.response)
      p99_by_load.push_back(seconds(each.quantile(0.99)));
    rows.push_back({{"start_seconds", slice.start_seconds},
                    {"sent", slice.sent},
                    {"answered", slice.answered},
                    {"errors", slice.errors},
                    {"by_device", slice.by_device},
                    {"scheduled_answered", all.count()},
                    {"p50_seconds", seconds(all.quantile(0.5))},
                    {"p99_seconds", seconds(all.quantile(0.99))},
                    {"max_seconds", seconds(all.max())},
                    {"p99_seconds_by_load", p99_by_load}});
  }
  return rows;
}

json timeline_of(const report& what) {
  json rows = json::array();
  for (const auto& fault : what.faults)
    rows.push_back({{"at_seconds", fault.at_seconds},
                    {"fault", fault.setting},
                    {"refusal", fault.refusal},
                    {"fired", fault.fired}});
  return rows;
}

json publications_of(const report& what) {
  json rows = json::array();
  for (const auto& each : what.publications)
    rows.push_back(
        {{"at_seconds", each.at_seconds}, {"dataset", each.dataset}, {"refusal", each.refusal}});
  return rows;
}

json events_of(const report& what) {
  json rows = json::array();
  for (const auto& event : what.events)
    rows.push_back({{"at_seconds", event.at_seconds},
                    {"kind", event.kind},
                    {"subject", event.subject},
                    {"detail", event.detail}});
  return rows;
}

json document_of(const report& what) {
  json out{
      {"format", "engram-replay/1"},
      {"verdict", {{"kind", to_string(what.judgement.kind)}, {"reasons", what.judgement.reasons}}},
      {"scenario", of(what.what)},
      {"target", what.target},
      {"started_at", what.started_at},
      {"measured_seconds", what.measured_seconds},
      {"cut_short", what.cut_short},
      {"machine", of(what.machine)}};
  out["devices"] = json::array();
  for (const auto& device : what.devices)
    out["devices"].push_back(of(device));
  out["total"] = of(what.total, what);
  out["loads"] = json::array();
  for (const auto& load : what.loads)
    out["loads"].push_back(of(load, what));
  out["answers"] = answers_of(what);
  out["errors"] = errors_of(what);
  out["correctness"] = correctness_of(what);
  out["generator"] = generator_of(what);
  out["breaker"] = breaker_of(what);
  out["faults"] = timeline_of(what);
  out["publications"] = publications_of(what);
  out["events"] = events_of(what);
  if (what.counts) out["pipeline"] = counts_of(*what.counts);
  out["slice_seconds"] = what.slice_seconds;
  out["slices"] = slices_of(what);
  out["config"] = json::array();
  for (const auto& each : what.config)
    out["config"].push_back({{"key", each.key}, {"value", each.value}, {"origin", each.origin}});
  return out;
}

} // namespace

std::string to_json(const report& what) {
  // Messages may quote bytes that are no UTF-8; they become the replacement character.
  return document_of(what).dump(1, ' ', false, json::error_handler_t::replace) + '\n';
}

} // namespace engram::replay
