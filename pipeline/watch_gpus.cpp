#include "engram/pipeline/watch_gpus.hpp"

#include <string_view>

namespace engram {

std::vector<watched_gpu> gpus_to_watch(const std::vector<device_info>& devices) {
  constexpr std::string_view prefix = "gpu";
  std::vector<watched_gpu> out;
  for (const auto& device : devices) {
    if (device.kind != device_kind::cuda || device.pci_bus_id.empty()) continue;
    std::string_view label = device.name;
    if (label.starts_with(prefix)) label.remove_prefix(prefix.size());
    out.push_back({std::string{label}, device.pci_bus_id});
  }
  return out;
}

std::unique_ptr<gpu_sampler> watch_gpus(const pipeline_core& core) {
  const auto options = core.options();
  if (!options->gpu.enabled || !options->gpu.telemetry.telemetry_enabled) return nullptr;
  std::vector<device_info> devices;
  for (const auto& slot : core.workers)
    devices.push_back(slot->device->info());
  gpu_sampler::settings settings;
  settings.gpus = gpus_to_watch(devices);
  return std::make_unique<gpu_sampler>(std::move(settings), core.clock);
}

} // namespace engram
