#include "engram/devices/gpu_sampler.hpp"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace engram {

namespace {

std::vector<gpu_sample> sample(const nvml& source, const std::vector<watched_gpu>& gpus) {
  std::vector<gpu_sample> out;
  for (const auto& gpu : gpus)
    if (auto reading = source.read(gpu.pci_bus_id)) out.push_back({gpu.label, std::move(*reading)});
  if (!gpus.empty()) return out;
  for (auto& reading : source.read_all())
    out.push_back({std::to_string(reading.index.value_or(0)), std::move(reading)});
  return out;
}

} // namespace

/// What a thread that never comes back from NVML still may touch when the sampler is gone.
struct gpu_sampler::shared {
  shared(settings s, const clock_source& c) : wanted(std::move(s)), clock(c) {}

  const settings wanted;
  const clock_source& clock; ///< not to be used once `stop` is set
  std::mutex mutex;
  std::condition_variable changed;
  bool stop = false;
  bool ended = false;
  std::vector<gpu_sample> latest;
  time_point taken;

  void serve() {
    {
      const nvml source{wanted.library};
      while (source.trouble().empty()) {
        auto fresh = sample(source, wanted.gpus);
        std::unique_lock lock{mutex};
        if (stop) break;
        latest = std::move(fresh);
        taken = clock.now();
        if (changed.wait_for(lock, wanted.period, [this] { return stop; })) break;
      }
    }
    const std::lock_guard lock{mutex};
    ended = true;
    changed.notify_all();
  }
};

gpu_sampler::gpu_sampler(settings wanted, const clock_source& clock)
    : state_(std::make_shared<shared>(std::move(wanted), clock)),
      thread_([state = state_] { state->serve(); }) {}

gpu_sampler::~gpu_sampler() {
  bool ended = false;
  {
    std::unique_lock lock{state_->mutex};
    state_->stop = true;
    state_->changed.notify_all();
    ended =
        state_->changed.wait_for(lock, std::chrono::seconds{1}, [this] { return state_->ended; });
  }
  if (ended)
    thread_.join();
  else
    thread_.detach();
}

std::vector<gpu_sample> gpu_sampler::latest() const {
  const std::lock_guard lock{state_->mutex};
  if (state_->latest.empty() || state_->clock.now() - state_->taken > 5 * state_->wanted.period)
    return {};
  return state_->latest;
}

} // namespace engram
