// The assertion below must fail in every build.
#undef NDEBUG

#include "engram/kernels/cuda/misbehave.hpp"

#include <cassert>
#include <cstdint>

namespace engram::cuda {

namespace {

// Inside the first page, aligned: neither shared nor local memory, and nothing is ever mapped
// there.
constexpr std::uintptr_t unmapped_address = 16;

// Addresses and conditions come as arguments, so that the compiler cannot see what is wrong with
// them.

__global__ void write_kernel(volatile int* address) {
  *address = 1;
}

__global__ void trap_kernel() {
  __trap();
}

__global__ void assertion_kernel(int truth) {
  assert(truth == 0 && "an assertion that fails on purpose");
}

__global__ void endless_kernel() {
  // Volatile, because a loop without an effect may be taken for one that ends.
  for (;;)
    asm volatile("nanosleep.u32 %0;" ::"r"(100'000u));
}

} // namespace

cudaError_t write_illegal_address(cudaStream_t stream) noexcept {
  write_kernel<<<1, 1, 0, stream>>>(reinterpret_cast<volatile int*>(unmapped_address));
  return cudaGetLastError();
}

cudaError_t trap(cudaStream_t stream) noexcept {
  trap_kernel<<<1, 1, 0, stream>>>();
  return cudaGetLastError();
}

cudaError_t fail_assertion(cudaStream_t stream) noexcept {
  assertion_kernel<<<1, 1, 0, stream>>>(1);
  return cudaGetLastError();
}

cudaError_t hang(cudaStream_t stream) noexcept {
  endless_kernel<<<1, 1, 0, stream>>>();
  return cudaGetLastError();
}

cudaError_t exhaust_memory() noexcept {
  std::size_t free_bytes = 0, card_bytes = 0;
  auto code = cudaMemGetInfo(&free_bytes, &card_bytes);
  if (code == cudaSuccess) {
    void* granted = nullptr;
    code = cudaMalloc(&granted, 2 * card_bytes);
    if (code == cudaSuccess) cudaFree(granted);
  }
  cudaGetLastError(); // it is ours, and must not be blamed on the next call
  return code;
}

cudaError_t misbehave(misbehaviour what, cudaStream_t stream) noexcept {
  switch (what) {
  case misbehaviour::illegal_address:
    return write_illegal_address(stream);
  case misbehaviour::trap:
    return trap(stream);
  case misbehaviour::assertion:
    return fail_assertion(stream);
  case misbehaviour::hang:
    return hang(stream);
  case misbehaviour::oom:
    return exhaust_memory();
  }
  return cudaErrorInvalidValue;
}

} // namespace engram::cuda
