#include "engram/devices/cuda_error.hpp"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <string>

namespace engram {

namespace {

constexpr std::array sticky_codes{214, 220, 226, 700, 702, 710, 714, 715,
                                  716, 717, 718, 719, 721, 810, 911, 999};
// Not initialised, no device, invalid device, devices unavailable, insufficient driver, the system
// driver does not match.
constexpr std::array no_device_codes{3, 35, 46, 100, 101, 803};

} // namespace

fault_class classify_cuda_error(int code) noexcept {
  if (code == cudaErrorMemoryAllocation) return fault_class::oom;
  if (std::ranges::find(sticky_codes, code) != sticky_codes.end()) return fault_class::sticky;
  if (std::ranges::find(no_device_codes, code) != no_device_codes.end())
    return fault_class::no_device;
  return fault_class::transient;
}

std::optional<device_fault> cuda_fault(int code, std::string_view doing) {
  if (code == cudaSuccess) return std::nullopt;
  cudaGetLastError();
  const auto cuda_code = static_cast<cudaError_t>(code);
  return device_fault{classify_cuda_error(code), std::string{doing} +
                                                     " failed: " + cudaGetErrorName(cuda_code) +
                                                     " (" + cudaGetErrorString(cuda_code) + ")"};
}

} // namespace engram
