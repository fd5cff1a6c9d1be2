#include "engram/pipeline/make_devices.hpp"

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/devices/sim_device.hpp"
#include "engram/kernels/isa.hpp"

#include <string>
#include <string_view>

namespace engram {

namespace {

const steady_clock_source machine_clock;

/// Simulated GPUs have a clock thread each: what one computes does not delay the other's answers.
result<std::unique_ptr<device>> make_simulated(std::string name, std::string_view profile,
                                               const gpu_options& gpu,
                                               std::shared_ptr<const cpu_engine> engine,
                                               fault_points& faults) {
  const auto* found = find_sim_profile(profile);
  if (!found) {
    std::string known;
    for (const auto& each : sim_profiles())
      known += (known.empty() ? "" : ", ") + std::string{each.name};
    return error{ec::invalid_argument, "There is no simulated GPU \"" + std::string{profile} +
                                           "\"; known profiles: " + known + "."};
  }
  return make_sim_device({.name = std::move(name),
                          .profile = found,
                          .streams = gpu.streams,
                          .vram_safety_margin = gpu.vram_safety_margin},
                         std::move(engine), std::make_shared<thread_alarm_clock>(), faults);
}

} // namespace

result<std::vector<std::unique_ptr<device>>> make_devices(const pipeline_options& options,
                                                          fault_points& faults) {
  const auto level = chosen_isa();
  if (!level) return level.error();
  std::vector<std::unique_ptr<device>> devices;
  devices.push_back(make_cpu_device("cpu", *level, options.cpu.threads, faults, machine_clock));
  if (!options.gpu.enabled) return devices;

  constexpr std::string_view simulated = "sim:";
  std::shared_ptr<const cpu_engine> engine;
  for (const auto& entry : options.gpu.devices) {
    if (entry == "auto") continue; // this build has no real GPU to find
    if (!entry.starts_with(simulated))
      return error{ec::unavailable, "GPU \"" + entry +
                                        "\" is not there: this version drives no real GPU. Use "
                                        "\"auto\", or \"sim:<profile>\" "
                                        "for a simulated GPU."};
    if (!engine) engine = std::make_shared<cpu_engine>(*level, options.cpu.threads);
    auto made = make_simulated("gpu" + std::to_string(devices.size() - 1),
                               std::string_view{entry}.substr(simulated.size()), options.gpu,
                               engine, faults);
    if (!made) return made.error();
    devices.push_back(std::move(*made));
  }
  return devices;
}

} // namespace engram
