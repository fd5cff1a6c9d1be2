#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

namespace engram::cuda {

/// What `copy_in` copies at a time, in bytes.
inline constexpr std::size_t copy_step = 4096;

/// When a copy began and ended, in nanoseconds of the GPU's clock.
struct copy_times {
  unsigned long long begun, ended;
};

/// Enqueues copying `bytes`, a multiple of copy_step, from host memory that is mapped into the
/// device to device memory by a kernel. Sooner done than a copy by the copy engine as long as it is
/// a few pages: it spares the engine's start, and the events around it. `times` is mapped host
/// memory and speaks of the first pages.
cudaError_t copy_in(void* to, const void* from, std::size_t bytes, copy_times* times,
                    cudaStream_t stream) noexcept;

} // namespace engram::cuda
