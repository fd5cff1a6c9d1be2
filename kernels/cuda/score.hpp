#pragma once

#include "engram/base/ids.hpp"

#include <cstddef>

namespace engram::cuda {

/// Enqueues out[i] = score(query, row ids[i]) on `stream` (a cudaStream_t; nullptr is the default
/// stream), with the bits of kernels/cosine.hpp.
///
/// All pointers are device memory: query [dim], rows [n, dim] row-major float32, inverse_norms [n],
/// ids [count] below n, out [count]. Returns the cudaError_t of the launch, 0 for success; a count
/// of 0 launches nothing.
int score(const float* query, float query_inverse_norm, const float* rows,
          const float* inverse_norms, std::size_t dim, const row_id* ids, std::size_t count,
          float* out, void* stream) noexcept;

} // namespace engram::cuda
