#pragma once

#include "engram/devices/device.hpp"

#include <optional>
#include <string_view>

namespace engram {

/// Returns how a CUDA runtime error code is to be treated. `sticky` are the codes after which the
/// process never gets the GPU back (CUDA 13.0, driver_types.h, "must be terminated and relaunched";
/// uncorrectable memory and NVLink errors and `unknown` are treated alike).
fault_class classify_cuda_error(int code) noexcept;

/// Returns the fault that `code` (a cudaError_t) makes of `doing`; nothing for cudaSuccess. Clears
/// the runtime's last error, so that it is not blamed on a later call.
std::optional<device_fault> cuda_fault(int code, std::string_view doing);

} // namespace engram
