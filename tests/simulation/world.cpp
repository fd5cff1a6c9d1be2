#include "engram/tests/simulation/world.hpp"

#include <chrono>
#include <string>

namespace engram::simulation {

using namespace std::chrono_literals;

pipeline_options reloaded(const pipeline_options& now, dice& from) {
  auto o = now;
  o.gpu.gpu_min_batch_size = static_cast<std::uint32_t>(from.pick(1, 4));
  o.gpu.thresholds.gpu_speedup_threshold = from.one_of({1.0, 1.0, 1.5});
  o.gpu.force_cpu_mode = from.chance(0.03);
  o.gpu.telemetry.performance_window_size = static_cast<std::uint32_t>(from.pick(10, 30));
  o.gpu.breaker.cool_down_ms = static_cast<double>(from.pick(1, 100));
  o.gpu.breaker.max_cool_down_ms = static_cast<double>(from.pick(100, 500));
  o.gpu.breaker.half_open_timeout_ms = static_cast<double>(from.pick(300, 2'000));
  o.gpu.breaker.probes_to_close = static_cast<std::uint32_t>(from.pick(1, 5));
  o.batching.max_wait_ms = static_cast<double>(from.pick(0, 8));
  o.batching.target_batch_size = static_cast<std::uint32_t>(from.pick(1, 16));
  o.routing.shadow_share = from.one_of({0.0, 0.005, 0.3});
  o.admission.max_in_flight = from.chance(0.2) ? 8 : 1'000;
  return o;
}

world::world(dice& from) {
  options = reloaded(options, from);
  options.gpu.streams = static_cast<std::uint32_t>(from.pick(1, 3));
  options.supervisor.restart_intensity = 1'000'000;
  options.supervisor.backoff_ms = from.one_of({0.0, 0.0, 1.0});
  options.supervisor.max_backoff_ms = 8;
  options.gpu.verification.check_share = from.one_of({0.0, 0.001, 0.5, 1.0});
  options.gpu.verification.canary_interval_ms = from.one_of({0.0, 1'000.0});

  const auto how_many = from.one_of<std::size_t>({0, 1, 1, 1, 1, 1, 1, 2, 2, 2});
  for (std::size_t g = 0; g < how_many; ++g) {
    auto& each = gpus.emplace_back();
    each.in_processes = from.chance(0.5);
    each.memory_bytes = from.one_of<std::uint64_t>({5'000, 8'000, 20'000, 1'000'000, 1'000'000});
    each.limits.standby = from.chance(0.7);
    each.limits.hang_timeout = from.one_of<duration>({300ms, 1s});
    each.limits.start_timeout = 1s;
    each.limits.crashes = {.intensity = static_cast<std::uint32_t>(from.pick(2, 10)),
                           .period = 2s,
                           .backoff = 10ms,
                           .max_backoff = from.one_of<duration>({500ms, 2s})};
  }

  steps = from.pick(20, 200);
  random_order = from.chance(0.5);
  cancels = from.chance(0.5);
  tight_deadlines = from.chance(0.5);
  publishes = from.chance(0.6);
  if (from.chance(0.05)) return; // a calm one
  device_faults = from.chance(0.6);
  corruption = from.chance(0.2);
  cpu_faults = from.chance(0.3);
  actor_deaths = from.chance(0.5);
  child_trouble = from.chance(0.7);
  reloads = from.chance(0.4);
  leaps = from.chance(0.25);
  slow_cpu = from.chance(0.3);
  if (from.chance(0.08)) {
    end = ending::stops;
  } else if (actor_deaths && from.chance(0.1)) {
    end = ending::gives_up;
    options.supervisor.restart_intensity = static_cast<std::uint32_t>(from.pick(1, 3));
  }
}

std::string world::describe() const {
  std::string text;
  for (std::size_t g = 0; g < gpus.size(); ++g)
    text += (g == 0 ? "" : ", ") + ("gpu" + std::to_string(g)) +
            (gpus[g].in_processes ? " in child processes" : "") +
            (gpus[g].in_processes && gpus[g].limits.standby ? " with a standby" : "") + " (" +
            std::to_string(gpus[g].memory_bytes) + " bytes)";
  if (gpus.empty()) text = "no GPU";
  const auto add = [&text](bool is_so, const char* what) {
    if (is_so) text += std::string{"; "} + what;
  };
  add(device_faults, "device faults");
  add(corruption, "silent corruption");
  add(cpu_faults, "CPU faults");
  add(slow_cpu, "a slow CPU");
  add(child_trouble, "trouble with children");
  add(actor_deaths, "actors die");
  add(reloads, "reloads");
  add(publishes, "publications");
  add(leaps, "the clock leaps");
  add(cancels, "cancels");
  add(tight_deadlines, "tight deadlines");
  add(is_calm(), "calm");
  add(end == ending::stops, "stops in the middle");
  add(end == ending::gives_up, "gives up after few deaths");
  return text;
}

} // namespace engram::simulation
