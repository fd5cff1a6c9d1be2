#include "engram/bench/gpu/bench_devices.hpp"

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/devices/gpu_discovery.hpp"
#include "engram/devices/sim_device.hpp"
#include "engram/kernels/isa.hpp"

#if ENGRAM_HAS_CUDA
#include "engram/devices/cuda_device.hpp"
#endif

#include <charconv>
#include <fstream>
#include <optional>

namespace engram::bench {

namespace {

constexpr std::string_view simulated = "sim:";
constexpr std::string_view real = "cuda:";

error invalid(std::string message) {
  return {ec::invalid_argument, std::move(message)};
}

result<std::unique_ptr<device>> make_simulated(const std::string& gpu, isa level,
                                               bench_devices& owner, std::uint32_t threads) {
  const auto* profile = find_sim_profile(std::string_view{gpu}.substr(simulated.size()));
  if (!profile) {
    std::string known;
    for (const auto& each : sim_profiles())
      known += (known.empty() ? "sim:" : ", sim:") + std::string{each.name};
    return invalid("There is no simulated GPU \"" + gpu + "\"; known: " + known + ".");
  }
  return make_sim_device({.name = "gpu0", .profile = profile},
                         std::make_shared<cpu_engine>(level, threads),
                         std::make_shared<thread_alarm_clock>(), owner.faults);
}

std::optional<int> ordinal_of(std::string_view gpu) {
  const auto digits = gpu.substr(real.size());
  int ordinal = 0;
  const auto [end, trouble] =
      std::from_chars(digits.data(), digits.data() + digits.size(), ordinal);
  if (trouble != std::errc{} || end != digits.data() + digits.size() || ordinal < 0)
    return std::nullopt;
  return ordinal;
}

result<std::unique_ptr<device>> make_real([[maybe_unused]] int ordinal,
                                          [[maybe_unused]] bench_devices& owner) {
#if ENGRAM_HAS_CUDA
  auto made = make_cuda_device({.name = "gpu0", .ordinal = ordinal}, owner.faults, owner.clock);
  if (!made) return std::move(made).error();
  return std::unique_ptr<device>{std::move(*made)};
#else
  return error{ec::unavailable, "This program was built without CUDA, so it drives no real GPU; "
                                "build it with -DENGRAM_ENABLE_CUDA=ON, or try --gpu sim:h100."};
#endif
}

result<std::unique_ptr<device>> make_gpu(const std::string& gpu, isa level, bench_devices& owner,
                                         std::uint32_t threads) {
  if (gpu.starts_with(simulated)) return make_simulated(gpu, level, owner, threads);
  if (gpu.starts_with(real))
    if (const auto ordinal = ordinal_of(gpu)) return make_real(*ordinal, owner);
  return invalid("\"" + gpu +
                 "\" names no GPU; give cuda:<number>, for example cuda:0, or sim:<profile>.");
}

/// Returns the version of the kernel driver, or else the CUDA version that the driver runs.
std::string driver_version() {
  std::string version;
  if (std::ifstream file{"/sys/module/nvidia/version"}; std::getline(file, version)) return version;
  version = survey_gpus().driver_version;
  return version.empty() ? "" : "for CUDA " + version;
}

} // namespace

result<std::unique_ptr<bench_devices>> make_bench_devices(const std::string& gpu,
                                                          std::uint32_t cpu_threads) {
  const auto level = chosen_isa();
  if (!level) return level.error();
  auto made = std::make_unique<bench_devices>();
  auto device = make_gpu(gpu, *level, *made, cpu_threads);
  if (!device) return device.error();
  made->gpu = std::move(*device);
  made->cpu = make_cpu_device("cpu", *level, cpu_threads, made->faults, made->clock);
  const auto& info = made->gpu->info();
  made->description = {.name = gpu,
                       .model = info.model,
                       .driver = {},
                       .memory_bytes = info.memory_bytes,
                       .simulated = info.kind == device_kind::simulated};
  if (!made->description.simulated) made->description.driver = driver_version();
  return made;
}

std::string pipeline_name(std::string_view gpu) {
  return std::string{gpu.starts_with(real) ? gpu.substr(real.size()) : gpu};
}

} // namespace engram::bench
