#pragma once

/// Exact top-k search on the GPU, in four steps that write no score matrix:
///   pass     each group of rows gets its greatest score for each query. A `scan` computes the
///            final scores themselves; a `filter` (tensor cores) scores that are off by a bounded
///            error;
///   pick     only groups whose greatest could reach the k-th best group's (within that error) can
///            hold one of the k best rows;
///   rescore  the rows of picked groups get their final scores, in the order of kernels/cosine.hpp;
///   take     the best k of those.
/// With a scan the picked groups are k at most, whatever the data. With a filter they may be more
/// than there is room for (many rows within the error of each other): then the query's count says
/// `overflowed` and it has to be scanned.

#include "engram/kernels/cuda/device_rows.hpp"
#include "engram/kernels/top_k.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

enum class search_pass : std::uint8_t { scan, filter };

/// The queries of one search and where their answers go. Device memory; hits and hit_counts may be
/// mapped host memory.
struct search_call {
  const float* queries = nullptr;       ///< [count, rows.stride()], zeros past dim
  const float* inverse_norms = nullptr; ///< [count]
  const std::uint32_t* k = nullptr;     ///< [count], 1..max_k
  std::size_t count = 0;
  std::uint32_t max_k = 0;             ///< 1..2048
  hit* hits = nullptr;                 ///< [count, max_k], best first
  std::uint32_t* hit_counts = nullptr; ///< [count]: min(k, rows), or `overflowed`
};

/// Returns the faster pass for `count` queries where the filter is supported.
search_pass faster_pass(const device_rows& rows, std::size_t count) noexcept;

/// Returns the bytes of device memory that a search of `count` queries works in.
std::size_t search_workspace_bytes(const device_rows& rows, std::size_t count, std::uint32_t max_k,
                                   search_pass pass) noexcept;

/// Enqueues a search. `workspace` is 256-byte aligned. Returns the cudaError_t of the launches.
cudaError_t search(const device_rows& rows, const search_call& call, search_pass pass,
                   void* workspace, cudaStream_t stream) noexcept;

} // namespace engram::cuda
