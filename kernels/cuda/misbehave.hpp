#pragma once

#include "engram/kernels/misbehaviour.hpp"

#include <cuda_runtime_api.h>

namespace engram::cuda {

/// Each enqueues one kernel of a single thread that does wrong on purpose, and returns what the
/// launch came to; what the kernel does is reported by a later call on the context, which is lost
/// to the process from then on. None of them touches memory that anybody owns.
///
/// Writes to an address in the first page, which is never mapped: cudaErrorIllegalAddress.
cudaError_t write_illegal_address(cudaStream_t stream) noexcept;
/// Executes a trap instruction: cudaErrorLaunchFailure.
cudaError_t trap(cudaStream_t stream) noexcept;
/// Fails an assertion, in builds with NDEBUG too: cudaErrorAssert. The driver prints a line to the
/// process's standard output or error.
cudaError_t fail_assertion(cudaStream_t stream) noexcept;
/// Never ends; the context is whole, and whoever waits for it or destroys it waits for ever. Ends
/// with the process.
cudaError_t hang(cudaStream_t stream) noexcept;

/// Asks the driver for more memory than the card has, on the current device, and returns what it
/// says: cudaErrorMemoryAllocation. Takes nothing, loses nothing, and leaves no last error behind;
/// cudaSuccess would mean that the driver granted it (it was given back).
cudaError_t exhaust_memory() noexcept;

/// Does `what`, by the functions above. Returns what the launch came to, or for `oom` the refusal.
cudaError_t misbehave(misbehaviour what, cudaStream_t stream) noexcept;

} // namespace engram::cuda
