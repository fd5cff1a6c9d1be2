#pragma once

#include "engram/base/error.hpp"

#include <cuda_runtime_api.h>

#include <string>

namespace engram {

/// Returns what CUDA says of GPU `ordinal`. `unavailable`: it is not there, or older than compute
/// capability 7.5.
result<cudaDeviceProp> cuda_properties(int ordinal);
/// Returns "0000:07:00.0", or nothing if CUDA does not say.
std::string pci_bus_id_of(int ordinal);
/// Returns the error that says why GPU `ordinal` cannot be used.
error unusable_gpu(int ordinal, const std::string& why);

} // namespace engram
