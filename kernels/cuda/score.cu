#include "engram/kernels/cuda/canonical.cuh"
#include "engram/kernels/cuda/score.hpp"

#include <cuda_runtime_api.h>

namespace engram::cuda {

namespace {

constexpr unsigned warps_per_block = 8;

/// One warp a pair.
__global__ void score_pairs(const float* query, float query_inverse_norm, const float* rows,
                            const float* inverse_norms, std::size_t dim, const row_id* ids,
                            std::size_t count, float* out) {
  const std::size_t pair = std::size_t{blockIdx.x} * warps_per_block + threadIdx.x / warp_size;
  if (pair >= count) return; // the same for a whole warp
  const std::size_t row = ids[pair];
  const float dot = canonical_dot(query, rows + row * dim, dim);
  if (threadIdx.x % warp_size == 0)
    out[pair] = canonical_score(dot, query_inverse_norm, inverse_norms[row]);
}

} // namespace

int score(const float* query, float query_inverse_norm, const float* rows,
          const float* inverse_norms, std::size_t dim, const row_id* ids, std::size_t count,
          float* out, void* stream) noexcept {
  if (count == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((count + warps_per_block - 1) / warps_per_block);
  score_pairs<<<blocks, warps_per_block * warp_size, 0, static_cast<cudaStream_t>(stream)>>>(
      query, query_inverse_norm, rows, inverse_norms, dim, ids, count, out);
  return cudaGetLastError();
}

} // namespace engram::cuda
