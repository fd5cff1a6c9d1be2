#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/host_policy.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace engram {

struct process_device_options {
  std::string name = "gpu0";
  std::string gpu;     ///< "cuda:0", "sim:h100"
  std::string program; ///< the engram binary
  std::uint32_t streams = 4;
  double vram_safety_margin = 0.8;
  std::uint32_t cpu_threads = 0; ///< of a simulated GPU; 0: one for each core
  host_limits limits;
};

/// Returns a GPU that works in child processes: an owner, which holds the datasets, a runner, and
/// another one that stands by. Whatever ends a child, this process goes on: the batches that it had
/// fail, the standby takes over, and the listener hears `lost` and `restored`. The datasets stay on
/// the GPU meanwhile, because this process keeps the handles to their memory. Blocks until a runner
/// can serve. Fault sites "<name>.alloc", ".launch", ".complete", ".result", ".upload" and ".reset"
/// as a GPU in this process has them, carried out in the runner; ".doorbell" (return: a ring is
/// lost), ".start" (of a child: return, exit, hang). `unavailable` says why the GPU cannot be used.
result<std::unique_ptr<device>> make_process_device(process_device_options options,
                                                    fault_points& faults,
                                                    const clock_source& clock);

/// Asks a child process how many GPUs CUDA finds, so that this one need not start CUDA.
/// `unavailable` says why there are none.
result<int> count_cuda_gpus(const std::string& program, duration patience);

} // namespace engram
