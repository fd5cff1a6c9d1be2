#include "engram/devices/host/backend.hpp"

#include "engram/devices/cpu_device.hpp"
#include "engram/devices/describe.hpp"
#include "engram/devices/sim_device.hpp"
#include "engram/devices/vram_budget.hpp"
#include "engram/kernels/isa.hpp"

#if ENGRAM_HAS_CUDA
#include "engram/devices/cuda_device.hpp"
#endif

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace engram {

namespace {

constexpr std::string_view simulated = "sim:";

result<const sim_profile*> profile_of(std::string_view gpu) {
  const auto* found = find_sim_profile(gpu.substr(simulated.size()));
  if (!found)
    return error{ec::invalid_argument, "There is no simulated GPU \"" + std::string{gpu} + "\"."};
  return found;
}

/// Stands for a GPU's memory: counts it, and hands the content on as it came.
class sim_owner final : public memory_owner {
public:
  sim_owner(const host_hello& hello, const sim_profile& profile)
      : name_(hello.name), facts_{"simulated " + std::string(profile.model), "",
                                  profile.memory_bytes,
                                  static_cast<std::uint64_t>(
                                      static_cast<double>(profile.memory_bytes) *
                                      hello.vram_safety_margin)},
        budget_(facts_.budget_bytes), inherited_(budget_, hello.held_bytes) {}

  host_ready facts() const override { return facts_; }
  std::uint64_t used_bytes() const override { return budget_.used(); }

  result<resident_memory> hold(const dataset_ptr& data, const unique_fd& content) override {
    const auto needed = data->resident_bytes();
    auto share = budget_.reserve(needed);
    if (!share)
      return error{ec::resource_exhausted,
                   no_room(name_, "dataset " + describe(*data), needed,
                           budget_.total() - budget_.used(), budget_.total())};
    auto handle = content.duplicate();
    if (!handle) return std::move(handle).error();
    held_.insert_or_assign(data->key, std::move(*share));
    resident_memory out;
    out.parts.push_back({std::move(*handle), needed});
    return out;
  }

  void let_go(std::uint64_t key, std::uint64_t bytes) override {
    if (held_.erase(key) == 0) inherited_.give_back(bytes);
  }

private:
  const std::string name_;
  const host_ready facts_;
  vram_budget budget_;
  inherited_memory inherited_;
  std::map<std::uint64_t, vram_budget::reservation> held_; ///< by the dataset's key
};

/// A simulated GPU on data that lies in shared memory.
class sim_runner final : public attached_device {
public:
  explicit sim_runner(std::unique_ptr<device> made) : device_(std::move(made)) {}

  const device_info& info() const noexcept override { return device_->info(); }
  void run(work_batch_ptr batch, run_done done) override {
    device_->run(std::move(batch), std::move(done));
  }
  result<void> publish(const dataset_ptr& data) override { return device_->publish(data); }
  void retire(std::uint64_t key) override { device_->retire(key); }
  bool is_resident(std::uint64_t key) const override { return device_->is_resident(key); }
  memory_budget budget() const noexcept override { return device_->budget(); }
  std::uint64_t workspace_bytes(const work_batch& batch) const noexcept override {
    return device_->workspace_bytes(batch);
  }

  result<void> attach(const dataset_ptr& data, const resident_memory&) override {
    return device_->publish(data);
  }
  std::uint64_t own_bytes() const override { return 0; }

private:
  std::unique_ptr<device> device_;
};

bool is_simulated(const host_hello& hello) noexcept {
  return hello.gpu.starts_with(simulated);
}

#if ENGRAM_HAS_CUDA
// Of the budget, what each of two runners may take for its streams.
constexpr double runner_share = 0.125;
constexpr unsigned streams_share = 5; // of that, to any one stream

const steady_clock_source machine_clock;

cuda_options cuda_options_of(const host_hello& hello) {
  return {.name = hello.name,
          .ordinal = std::atoi(hello.gpu.c_str() + std::string_view{"cuda:"}.size()),
          .streams = hello.streams,
          .vram_safety_margin = hello.vram_safety_margin};
}
#else
error no_cuda() {
  return {ec::unavailable, "This build of engram has no CUDA."};
}
#endif

} // namespace

result<int> count_gpus() {
#if ENGRAM_HAS_CUDA
  const auto survey = survey_cuda();
  if (survey.gpus == 0) return error{ec::unavailable, survey.trouble};
  return survey.gpus;
#else
  return no_cuda();
#endif
}

result<std::unique_ptr<memory_owner>> open_owner(const host_hello& hello) {
  if (is_simulated(hello)) {
    const auto profile = profile_of(hello.gpu);
    if (!profile) return profile.error();
    return std::unique_ptr<memory_owner>{std::make_unique<sim_owner>(hello, **profile)};
  }
#if ENGRAM_HAS_CUDA
  return make_cuda_owner(cuda_options_of(hello), hello.held_bytes);
#else
  return no_cuda();
#endif
}

result<std::unique_ptr<attached_device>> open_runner(const host_hello& hello,
                                                     fault_points& faults) {
  if (is_simulated(hello)) {
    const auto profile = profile_of(hello.gpu);
    if (!profile) return profile.error();
    const auto level = chosen_isa();
    if (!level) return level.error();
    auto made = make_sim_device({.name = hello.name,
                                 .profile = *profile,
                                 .streams = hello.streams,
                                 .vram_safety_margin = hello.vram_safety_margin},
                                std::make_shared<cpu_engine>(*level, hello.cpu_threads),
                                std::make_shared<thread_alarm_clock>(), faults);
    return std::unique_ptr<attached_device>{std::make_unique<sim_runner>(std::move(made))};
  }
#if ENGRAM_HAS_CUDA
  auto options = cuda_options_of(hello);
  options.vram_safety_margin *= runner_share;
  options.workspace_share = streams_share;
  return make_cuda_device(std::move(options), faults, machine_clock);
#else
  static_cast<void>(faults);
  return no_cuda();
#endif
}

bool needs_content(const host_hello& hello) noexcept {
  return is_simulated(hello);
}

} // namespace engram
