#include "engram/pipeline/make_devices.hpp"

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
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
  return make_cuda_device({.name = std::move(name),
                           .ordinal = ordinal,
                           .streams = gpu.streams,
                           .vram_safety_margin = gpu.vram_safety_margin},
                          faults, machine_clock);
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
      const auto survey = survey_real();
      if (survey.gpus == 0) made_.left_out.push_back("no GPU: " + survey.trouble);
      for (int ordinal = 0; ordinal < survey.gpus; ++ordinal)
        if (auto added = keep(make_real(next_name(), ordinal, options_.gpu, faults_)); !added)
          made_.left_out.push_back(added.error().message);
      return {};
    }
    if (!entry.starts_with(simulated))
      return keep(make_real(next_name(), std::atoi(entry.c_str()), options_.gpu, faults_));
    if (!engine_) engine_ = std::make_shared<cpu_engine>(level_, options_.cpu.threads);
    return keep(make_simulated(next_name(), std::string_view{entry}.substr(simulated.size()),
                               options_.gpu, engine_, faults_));
  }

  made_devices take() { return std::move(made_); }

private:
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
