#pragma once

#include "engram/replay/report.hpp"

namespace engram::replay::test {

/// Returns a report with something in every part of it, hostile names included.
inline report sample_report() {
  using namespace std::chrono_literals;
  report what;
  what.what.name = "</script><b>demo";
  what.what.summary = "a \"summary\" & more";
  what.what.measured = 2s;
  what.what.warm_up = 1s;
  what.what.goal.p99 = 50ms;
  for (const auto op : {operation::search, operation::spread, operation::similarity}) {
    load_spec load;
    load.name = std::string{to_string(op)} + " load";
    load.op = op;
    load.rate = 100;
    what.what.loads.push_back(load);
    load_result result;
    result.name = load.name;
    result.op = op;
    result.requested = result.sent = 200;
    result.answered = result.completed = 199;
    result.errors = 1;
    result.took.response.record(4'000'000, 190);
    result.took.response.record(40'000'000, 9);
    result.took.service.record(3'000'000, 199);
    what.loads.push_back(result);
    what.total.requested += 200;
    what.total.sent += 200;
    what.total.answered += 199;
    what.total.errors += 1;
    what.total.took.response.merge(result.took.response);
    what.total.took.service.merge(result.took.service);
  }
  what.what.datasets.push_back({"made", synthetic_dataset::form::vectors, 10, 4, 0, 0, 1});
  what.what.faults = {{500ms, "gpu0.launch=return(sticky)"}, {1500ms, "gpu0.launch=off"}};
  what.total.name = "all";
  what.target = "in-process pipeline";
  what.started_at = "2025-01-01T00:00:00Z";
  what.machine = this_machine();
  device_info cpu, gpu;
  cpu.name = "cpu";
  cpu.model = "a processor";
  gpu.name = "gpu0";
  gpu.kind = device_kind::simulated;
  gpu.model = "simulated NVIDIA H100";
  what.devices = {cpu, gpu};
  what.config = {{"gpu.devices", "[\"sim:h100\"]", "scenario demo.toml"},
                 {"batching.max_wait_ms", "10", "default"}};
  what.measured_seconds = 2;
  what.by_device = {{{"cpu", route_reason::gpu_disabled}, 296},
                    {{"cpu", route_reason::gpu, true}, 4},
                    {{"gpu0", route_reason::gpu}, 297}};
  what.errors["overloaded"] = 3;
  what.error_examples["overloaded"] = "too <many> \xff requests";
  what.fell_back = 4;
  what.fallback_causes["sticky"] = 4;
  what.sent = 900;
  what.sampled = 10;
  what.checks = {9, 1, 0, 1, {"request 5 (search): hit 0 is 1 (0.5) instead of 2 (0.5)"}, {}};
  what.counts = pipeline_counts{};
  what.slice_seconds = 0.25;
  for (int i = 0; i < 12; ++i) {
    time_slice slice;
    slice.start_seconds = -1.0 + 0.25 * i;
    slice.sent = 75;
    slice.answered = 74;
    slice.errors = i == 5;
    slice.by_device = {{"cpu", 40}, {"gpu0", 34}};
    slice.response.resize(3);
    for (auto& each : slice.response)
      each.record(4'000'000, 25);
    what.slices.push_back(slice);
  }
  what.breaker = {{"gpu0", 0.52, breaker_state::closed, breaker_state::open, "sticky"},
                  {"gpu0", 1.52, breaker_state::open, breaker_state::half_open, "cool-down over"},
                  {"gpu0", 1.6, breaker_state::half_open, breaker_state::closed, "5 good probes"}};
  what.breaker_at_start = {{"cpu", breaker_state::closed}, {"gpu0", breaker_state::closed}};
  what.faults = {{0.5, "gpu0.launch=return(sticky)", ""}, {1.5, "gpu0.launch=off", ""}};
  what.events = {{0.6, "restart", "gpu0 worker", "exit"}};
  what.judgement = judge(what);
  return what;
}

} // namespace engram::replay::test
