#include "engram/kernels/cuda/copy_in.hpp"

namespace engram::cuda {

namespace {

constexpr unsigned block_threads = copy_step / sizeof(uint4);

__device__ unsigned long long nanoseconds() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}

__global__ void copy(uint4* to, const uint4* from, copy_times* times) {
  const bool keeps_time = blockIdx.x == 0 && threadIdx.x == 0;
  const auto begun = keeps_time ? nanoseconds() : 0;
  const std::size_t at = std::size_t{blockIdx.x} * block_threads + threadIdx.x;
  to[at] = from[at];
  __syncthreads();
  if (keeps_time) *times = {begun, nanoseconds()};
}

} // namespace

cudaError_t copy_in(void* to, const void* from, std::size_t bytes, copy_times* times,
                    cudaStream_t stream) noexcept {
  const auto blocks = static_cast<unsigned>(bytes / copy_step);
  if (blocks == 0) return cudaSuccess;
  copy<<<blocks, block_threads, 0, stream>>>(static_cast<uint4*>(to),
                                             static_cast<const uint4*>(from), times);
  return cudaGetLastError();
}

} // namespace engram::cuda
