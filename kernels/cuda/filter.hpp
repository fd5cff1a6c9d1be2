#pragma once

/// The fast pass of a search: products on tensor cores, reduced at once to the greatest score of
/// each group of rows, so that the score matrix is never written.

#include "engram/kernels/cuda/device_rows.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

/// Rows [16 g, 16 g + 16) are group g.
inline constexpr std::size_t filter_group_rows = 16;
/// The copy engine counts rows with a sign.
inline constexpr std::size_t max_filter_rows = 0x7fffffff;

/// Returns true if a device of this compute capability can run the filter.
bool filter_is_supported(int compute_major, int compute_minor) noexcept;

/// rows.rows is max_filter_rows at most. Enqueues maxima[q][g] = `ordered` greatest (queries[q] .
/// row) * inverse norm of the row, over the rows of group g. Device memory: queries [count,
/// rows.stride()] of rows.narrow_type, 16-byte aligned, zeros past dim; maxima [count, groups]. The
/// sums are float32 in whatever order the tensor cores take; search.cu bounds what that costs.
cudaError_t filter_maxima(const device_rows& rows, const void* queries, std::size_t count,
                          std::uint32_t* maxima, cudaStream_t stream) noexcept;

} // namespace engram::cuda
