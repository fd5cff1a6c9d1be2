#pragma once

#include <cuda_runtime_api.h>

namespace engram::cuda {

/// Returns how many multiprocessors the current device has; 1 if it cannot be asked.
inline unsigned multiprocessors() noexcept {
  int device = 0;
  int count = 1;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
    return 1;
  return static_cast<unsigned>(count);
}

} // namespace engram::cuda
