#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/nvml.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace engram {

/// A GPU to watch, and the name that its samples bear.
struct watched_gpu {
  std::string label;
  std::string pci_bus_id;
};

struct gpu_sample {
  std::string label;
  gpu_reading reading;
};

/// Asks NVML again and again on a thread of its own, so that nobody else waits for the driver: it
/// may take milliseconds, and for a GPU that fell off its bus for ever. Thread-safe.
class gpu_sampler {
public:
  struct settings {
    std::vector<watched_gpu> gpus = {}; ///< none: all that NVML shows, labelled by their index
    duration period = std::chrono::seconds{1};
    std::string library = nvml::usual_library;
  };

  /// Returns at once; without NVML there are never samples. `clock` must outlive this.
  gpu_sampler(settings wanted, const clock_source& clock);
  /// Waits a second at most for NVML to return, then leaves its thread behind.
  ~gpu_sampler();
  gpu_sampler(const gpu_sampler&) = delete;
  gpu_sampler& operator=(const gpu_sampler&) = delete;

  /// Returns what NVML said last, without asking it; nothing if that is 5 periods old.
  std::vector<gpu_sample> latest() const;

private:
  struct shared;

  std::shared_ptr<shared> state_;
  std::thread thread_;
};

} // namespace engram
