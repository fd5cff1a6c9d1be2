#include "engram/kernels/cuda/copy_in.hpp"

namespace engram::cuda {

namespace {

constexpr unsigned block_threads = copy_step / sizeof(uint4);

__global__ void copy(uint4* to, const uint4* from) {
  const std::size_t at = std::size_t{blockIdx.x} * block_threads + threadIdx.x;
  to[at] = from[at];
}

} // namespace

cudaError_t copy_in(void* to, const void* from, std::size_t bytes, cudaStream_t stream) noexcept {
  const auto blocks = static_cast<unsigned>(bytes / copy_step);
  if (blocks == 0) return cudaSuccess;
  copy<<<blocks, block_threads, 0, stream>>>(static_cast<uint4*>(to),
                                             static_cast<const uint4*>(from));
  return cudaGetLastError();
}

} // namespace engram::cuda
