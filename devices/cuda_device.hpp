#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/host/backend.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace engram {

struct cuda_options {
  std::string name = "gpu0";
  int ordinal = 0;                 ///< as CUDA counts what CUDA_VISIBLE_DEVICES shows
  std::uint32_t streams = 4;       ///< batches it works on at once
  double vram_safety_margin = 0.8; ///< fraction of its memory that may be used
  unsigned workspace_share = 32;   ///< a stream may take one part of so many of that
};

/// What CUDA can use on this machine.
struct cuda_survey {
  int gpus = 0;
  std::string trouble; ///< why there are none, in one sentence; empty if there are some
};
cuda_survey survey_cuda();

/// Returns an NVIDIA GPU. Batches run on `streams` lanes at once, each with memory of its own that
/// is taken when datasets are published or attached and never on a batch's way; more batches wait.
/// Answers come on a thread of the device. Fault sites "<name>.alloc", ".launch", ".complete",
/// ".result", ".upload" and ".reset", as a simulated GPU has them; what `cuda(...)` names is done
/// for real. After a sticky fault every batch fails the same way for the life of the process, and
/// `reset` returns false; a fault that was only injected passes with `reset`. `unavailable`: there
/// is no such GPU, or it is older than compute capability 7.5, or it cannot be set up.
result<std::unique_ptr<attached_device>>
make_cuda_device(cuda_options options, fault_points& faults, const clock_source& clock);

/// Returns what allocates datasets on the GPU for other processes, within three quarters of the
/// budget less `held_bytes`; the rest is for the runners. Errors as above.
result<std::unique_ptr<memory_owner>> make_cuda_owner(const cuda_options& options,
                                                      std::uint64_t held_bytes);

} // namespace engram
