#pragma once

#include "engram/base/ids.hpp"
#include "engram/kernels/cuda/device_rows.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

/// A query and a row to score it with.
struct score_pair {
  std::uint32_t query = 0;
  row_id row = 0;
};

/// Enqueues out[i] = score(query pairs[i].query, row pairs[i].row), with the bits of
/// kernels/cosine.hpp. Device memory: queries [q, rows.stride()] with zeros past dim,
/// inverse_norms [q], pairs [count], all in range, out [count] (may be mapped host memory). A count
/// of 0 launches nothing.
cudaError_t score(const device_rows& rows, const float* queries, const float* inverse_norms,
                  const score_pair* pairs, std::size_t count, float* out,
                  cudaStream_t stream) noexcept;

/// Enqueues out[i] = score(query query_of[i], target i), computing the targets' norms. Device
/// memory: queries [q, row_stride(dim)] and targets [count, row_stride(dim)] with zeros past dim,
/// inverse_norms [q], query_of [count], out [count] (may be mapped host memory).
cudaError_t similarity(const float* queries, const float* inverse_norms, std::size_t dim,
                       const float* targets, const std::uint32_t* query_of, std::size_t count,
                       float* out, cudaStream_t stream) noexcept;

} // namespace engram::cuda
