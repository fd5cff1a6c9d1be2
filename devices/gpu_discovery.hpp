#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace engram {

/// One GPU as the NVIDIA driver describes it.
struct found_gpu {
  int ordinal = 0;
  std::string name;
  std::uint64_t memory_bytes = 0;
  int compute_major = 0;
  int compute_minor = 0;
  std::string pci_bus_id; ///< "0000:07:00.0"; of the whole GPU for a MIG slice; empty: not known
  std::string uuid;       ///< "GPU-..." or "MIG-...", as CUDA_VISIBLE_DEVICES takes it; likewise
};

/// What the NVIDIA driver of this machine says.
struct gpu_survey {
  std::string driver_version; ///< the newest CUDA version that the driver runs, "13.0"; empty
                              ///< without a driver
  std::vector<found_gpu> gpus;
  std::string trouble; ///< why `gpus` is empty, in one sentence; empty if it is not
};

/// Asks the NVIDIA driver, loaded at run time, so that a build without CUDA can ask too. Starts the
/// driver in this process and leaves it loaded: for commands that end soon, not for a pipeline.
gpu_survey survey_gpus();

} // namespace engram
