#pragma once

namespace engram {

/// Shows the process's trace ranges (base/trace.hpp) to NVIDIA's profilers, in the NVTX domain
/// "engram", if one watches: `nsys` tells what it starts so in the environment. ENGRAM_NVTX=1 or 0
/// decides instead, for other tools. Leaves a sink that is already set. Returns whether ranges are
/// shown; never true in a build without CUDA. Thread-safe; a call after the first changes nothing.
bool start_nvtx();

} // namespace engram
