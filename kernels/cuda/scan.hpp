#pragma once

#include "engram/kernels/cuda/device_rows.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

/// Returns how many rows share a group in a scan of `rows` rows: few where there are few rows, so
/// that every multiprocessor gets some.
std::size_t scan_group_rows(std::size_t rows) noexcept;

/// Enqueues maxima[q][g] = greatest key (select.hpp) of the rows of group g for query q, from final
/// scores. Device memory: queries [count, rows.stride()] with zeros past dim, inverse_norms
/// [count], maxima [count, groups]. Reads the rows once for every few queries.
cudaError_t scan_maxima(const device_rows& rows, const float* queries, const float* inverse_norms,
                        std::size_t count, std::uint64_t* maxima, cudaStream_t stream) noexcept;

} // namespace engram::cuda
