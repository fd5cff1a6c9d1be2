#include "engram/kernels/cuda/canonical.cuh"
#include "engram/kernels/cuda/narrow.hpp"

#include <algorithm>

namespace engram::cuda {

namespace {

constexpr unsigned warps_per_block = 8;

/// One warp a row.
__global__ void narrow(const float* rows, const float* inverse_norms, std::size_t count,
                       std::size_t stride, __nv_bfloat16* out, float* residual) {
  float greatest = 0.0f;
  const std::size_t step = std::size_t{gridDim.x} * warps_per_block;
  for (std::size_t r = std::size_t{blockIdx.x} * warps_per_block + threadIdx.x / warp_size;
       r < count; r += step) {
    const float scale = inverse_norms[r];
    float squares = 0.0f;
    for (std::size_t i = threadIdx.x % warp_size; i < stride; i += warp_size) {
      const float value = rows[r * stride + i];
      const __nv_bfloat16 rounded = __float2bfloat16_rn(value);
      out[r * stride + i] = rounded;
      const float moved = (value - __bfloat162float(rounded)) * scale;
      squares += moved * moved;
    }
    for (unsigned width = warp_size / 2; width > 0; width /= 2)
      squares += __shfl_xor_sync(whole_warp, squares, width);
    greatest = fmaxf(greatest, 1.001f * sqrtf(squares));
  }
  // Floats of one sign order like integers, and a maximum does not depend on the order.
  if (threadIdx.x % warp_size == 0)
    atomicMax(reinterpret_cast<int*>(residual), __float_as_int(greatest));
}

} // namespace

cudaError_t narrow_rows(const float* rows, const float* inverse_norms, std::size_t count,
                        std::size_t stride, void* out, float* residual,
                        cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  constexpr std::size_t most_blocks = 4096;
  const auto blocks = std::min((count + warps_per_block - 1) / warps_per_block, most_blocks);
  narrow<<<static_cast<unsigned>(blocks), warps_per_block * warp_size, 0, stream>>>(
      rows, inverse_norms, count, stride, static_cast<__nv_bfloat16*>(out), residual);
  return cudaGetLastError();
}

} // namespace engram::cuda
