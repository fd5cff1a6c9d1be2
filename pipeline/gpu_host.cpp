#include "engram/pipeline/gpu_host.hpp"

#include "engram/devices/host/gpu_host.hpp"

namespace engram {

int serve_as_gpu_host() {
  return run_gpu_host();
}

} // namespace engram
