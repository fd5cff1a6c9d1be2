#include "engram/kernels/cuda/by_type.cuh"
#include "engram/kernels/cuda/canonical.cuh"
#include "engram/kernels/cuda/score.hpp"

namespace engram::cuda {

namespace {

constexpr unsigned warps_per_block = 8;
constexpr unsigned block_threads = warps_per_block * warp_size;
constexpr unsigned rows_per_block = warps_per_block * rows_of_warp;

/// Returns which of `count` rows the calling quad works on; the last one again where there are no
/// more, so that whole warps go on together.
__device__ std::size_t row_of_quad(std::size_t count, bool& is_own) {
  const std::size_t row = std::size_t{blockIdx.x} * rows_per_block + threadIdx.x / quad_lanes;
  is_own = row < count;
  return is_own ? row : count - 1;
}

template <class Element>
__global__ void score_pairs(const Element* rows, const float* row_inverse_norms,
                            const float* queries, const float* query_inverse_norms, unsigned stride,
                            const score_pair* pairs, std::size_t count, float* out) {
  bool is_own;
  const std::size_t at = row_of_quad(count, is_own);
  const score_pair pair = pairs[at];
  const float dot = quad_dot(queries + std::size_t{pair.query} * stride,
                             rows + std::size_t{pair.row} * stride, stride);
  if (is_own && threadIdx.x % quad_lanes == 0)
    out[at] = canonical_score(dot, query_inverse_norms[pair.query], row_inverse_norms[pair.row]);
}

__global__ void score_targets(const float* queries, const float* query_inverse_norms,
                              unsigned stride, const float* targets, const std::uint32_t* query_of,
                              std::size_t count, float* out) {
  bool is_own;
  const std::size_t at = row_of_quad(count, is_own);
  const float* target = targets + at * stride;
  const std::uint32_t query = query_of[at];
  const float dot = quad_dot(queries + std::size_t{query} * stride, target, stride);
  const float inverse_norm = quad_inverse_norm(target, stride);
  if (is_own && threadIdx.x % quad_lanes == 0)
    out[at] = canonical_score(dot, query_inverse_norms[query], inverse_norm);
}

unsigned blocks_for(std::size_t count) noexcept {
  return static_cast<unsigned>((count + rows_per_block - 1) / rows_per_block);
}

} // namespace

cudaError_t score(const device_rows& rows, const float* queries, const float* inverse_norms,
                  const score_pair* pairs, std::size_t count, float* out,
                  cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  by_type(rows.type, rows.data, [&](const auto* data) {
    score_pairs<<<blocks_for(count), block_threads, 0, stream>>>(
        data, rows.inverse_norms, queries, inverse_norms, static_cast<unsigned>(rows.stride()),
        pairs, count, out);
  });
  return cudaGetLastError();
}

cudaError_t similarity(const float* queries, const float* inverse_norms, std::size_t dim,
                       const float* targets, const std::uint32_t* query_of, std::size_t count,
                       float* out, cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  score_targets<<<blocks_for(count), block_threads, 0, stream>>>(
      queries, inverse_norms, static_cast<unsigned>(row_stride(dim)), targets, query_of, count,
      out);
  return cudaGetLastError();
}

} // namespace engram::cuda
