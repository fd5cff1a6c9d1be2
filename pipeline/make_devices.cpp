#include "engram/pipeline/make_devices.hpp"

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/devices/host/process_device.hpp"
#include "engram/devices/sim_device.hpp"
#include "engram/kernels/isa.hpp"

#if ENGRAM_HAS_CUDA
#include "engram/devices/cuda_device.hpp"
#endif

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

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

#if ENGRAM_HAS_CUDA
result<std::unique_ptr<device>> make_real(std::string name, int ordinal, const gpu_options& gpu,
                                          fault_points& faults) {
  auto made = make_cuda_device({.name = std::move(name),
                                .ordinal = ordinal,
                                .streams = gpu.streams,
                                .vram_safety_margin = gpu.vram_safety_margin},
                               faults, machine_clock);
  if (!made) return std::move(made).error();
  return std::unique_ptr<device>{std::move(*made)};
}
cuda_survey survey_real() {
  return survey_cuda();
}
#else
result<std::unique_ptr<device>> make_real(const std::string&, int ordinal, const gpu_options&,
                                          fault_points&) {
  return error{ec::unavailable, "GPU " + std::to_string(ordinal) +
                                    " cannot be used: this build has no CUDA. Use \"auto\", or "
                                    "\"sim:<profile>\" for a simulated GPU."};
}
struct cuda_survey {
  int gpus = 0;
  std::string trouble;
};
cuda_survey survey_real() {
  return {0, "this build has no CUDA"};
}
#endif

constexpr std::string_view simulated = "sim:";

host_limits host_limits_of(const gpu_options::host_options& host) {
  const auto ms = [](double count) { return from_seconds(count / 1000.0); };
  return {.standby = host.standby,
          .hang_timeout = ms(host.hang_timeout_ms),
          .late_timeout = ms(host.late_timeout_ms),
          .start_timeout = ms(host.start_timeout_ms),
          .crashes = {.intensity = host.crash_intensity,
                      .period = ms(host.crash_period_ms),
                      .backoff = ms(host.respawn_backoff_ms),
                      .max_backoff = ms(host.max_respawn_backoff_ms)}};
}

/// Makes the devices of one configuration, naming GPUs gpu0, gpu1, ... as they come.
class device_maker {
public:
  device_maker(isa level, const pipeline_options& options, fault_points& faults)
      : level_(level), options_(options), faults_(faults) {
    made_.devices.push_back(
        make_cpu_device("cpu", level, options.cpu.threads, faults, machine_clock));
  }

  /// Adds what one entry of gpu.devices names.
  result<void> add(const std::string& entry) {
    if (entry == "auto") {
      add_all();
      return {};
    }
    if (is_isolated())
      return keep(make_isolated(entry.starts_with(simulated) ? entry : "cuda:" + entry));
    if (!entry.starts_with(simulated))
      return keep(make_real(next_name(), std::atoi(entry.c_str()), options_.gpu, faults_));
    if (!engine_) engine_ = std::make_shared<cpu_engine>(level_, options_.cpu.threads);
    return keep(make_simulated(next_name(), std::string_view{entry}.substr(simulated.size()),
                               options_.gpu, engine_, faults_));
  }

  made_devices take() { return std::move(made_); }

private:
  /// Adds every GPU that CUDA finds and that can be used.
  void add_all() {
    const auto found =
        is_isolated() ? count_cuda_gpus(options_.gpu.host.program,
                                        from_seconds(options_.gpu.host.start_timeout_ms * 1e-3))
                      : count_here();
    if (!found) made_.left_out.push_back("no GPU: " + found.error().message);
    for (int ordinal = 0; ordinal < (found ? *found : 0); ++ordinal)
      if (auto added = keep(is_isolated() ? make_isolated("cuda:" + std::to_string(ordinal))
                                          : make_real(next_name(), ordinal, options_.gpu, faults_));
          !added)
        made_.left_out.push_back(added.error().message);
  }

  static result<int> count_here() {
    const auto survey = survey_real();
    if (survey.gpus == 0) return error{ec::unavailable, survey.trouble};
    return survey.gpus;
  }

  /// Child processes were asked for, and there is a program to run in them.
  bool is_isolated() {
    if (options_.gpu.isolation != "process") return false;
    if (!options_.gpu.host.program.empty()) return true;
    if (!std::exchange(warned_, true))
      made_.left_out.push_back(
          "gpu.isolation = \"process\" needs gpu.host.program, the path of the "
          "engram binary; GPUs run in this process, where a fault that poisons "
          "their context disables them until it ends");
    return false;
  }

  result<std::unique_ptr<device>> make_isolated(std::string gpu) {
    return make_process_device({.name = next_name(),
                                .gpu = std::move(gpu),
                                .program = options_.gpu.host.program,
                                .streams = options_.gpu.streams,
                                .vram_safety_margin = options_.gpu.vram_safety_margin,
                                .cpu_threads = options_.cpu.threads,
                                .limits = host_limits_of(options_.gpu.host)},
                               faults_, machine_clock);
  }

  std::string next_name() const { return "gpu" + std::to_string(made_.devices.size() - 1); }
  result<void> keep(result<std::unique_ptr<device>> made) {
    if (!made) return made.error();
    made_.devices.push_back(std::move(*made));
    return {};
  }

  const isa level_;
  const pipeline_options& options_;
  fault_points& faults_;
  std::shared_ptr<const cpu_engine> engine_; ///< what simulated GPUs compute with
  made_devices made_;
  bool warned_ = false;
};

} // namespace

result<made_devices> make_devices(const pipeline_options& options, fault_points& faults) {
  const auto level = chosen_isa();
  if (!level) return level.error();
  device_maker maker(*level, options, faults);
  if (options.gpu.enabled)
    for (const auto& entry : options.gpu.devices)
      if (auto added = maker.add(entry); !added) return added.error();
  return maker.take();
}

} // namespace engram
