// The exact pass: streams the rows past a few queries in shared memory. Bound by memory for up to
// four queries; more are taken four at a time.

#include "engram/kernels/cuda/by_type.cuh"
#include "engram/kernels/cuda/canonical.cuh"
#include "engram/kernels/cuda/multiprocessors.hpp"
#include "engram/kernels/cuda/scan.hpp"
#include "engram/kernels/cuda/select.hpp"

#include <algorithm>

namespace engram::cuda {

namespace {

constexpr unsigned warps_per_block = 4;
constexpr unsigned block_threads = warps_per_block * warp_size;
constexpr unsigned lane_sums = partial_sums / quad_lanes;
// 16-byte reads that a lane has under way: many where registers allow.
__host__ __device__ constexpr unsigned in_flight(unsigned queries) noexcept {
  return queries == 1 ? 16 : 8;
}
constexpr unsigned most_queries = 4;
constexpr unsigned blocks_at_once = 4;                  // of a multiprocessor, by their registers
constexpr std::size_t shared_bytes_default = 48 * 1024; // more has to be asked for
constexpr std::size_t shared_bytes_wanted = 96 * 1024;

/// Returns the shared memory that a block may ask for, no more than is wanted.
std::size_t shared_bytes_limit() noexcept {
  int device = 0;
  int most = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device) != cudaSuccess)
    return shared_bytes_default;
  return std::min(static_cast<std::size_t>(most), shared_bytes_wanted);
}

__host__ __device__ constexpr unsigned padded_length(std::size_t stride) noexcept {
  return static_cast<unsigned>((stride + partial_sums - 1) / partial_sums * partial_sums);
}

struct scan_shape {
  const float* row_inverse_norms;
  std::size_t rows;
  std::size_t groups;
  unsigned stride;
  unsigned group_passes; ///< times a warp's eight rows in a group
};

/// Adds the products of a row with each query to this lane's partial sums.
template <unsigned Queries, class Element>
__device__ void add_products(const Element* row, unsigned stride, const float* queries,
                             unsigned query_length, float (&sum)[Queries][lane_sums]) {
  constexpr unsigned ahead = in_flight(Queries) * 16 / sizeof(chunk<Element, lane_sums>);
  const unsigned first = threadIdx.x % quad_lanes * lane_sums;
  for (unsigned base = first; base < stride; base += ahead * partial_sums) {
    chunk<Element, lane_sums> read[ahead] = {};
#pragma unroll
    for (unsigned u = 0; u < ahead; ++u)
      if (base + u * partial_sums < stride)
        read[u] = load_chunk<lane_sums>(row + base + u * partial_sums);
#pragma unroll
    for (unsigned u = 0; u < ahead; ++u) {
      const unsigned at = base + u * partial_sums;
      if (at >= stride) break;
      float element[lane_sums];
      widen(read[u], element);
#pragma unroll
      for (unsigned q = 0; q < Queries; ++q) {
        const auto* pieces = reinterpret_cast<const float4*>(queries + q * query_length + at);
        const float4 low = pieces[0], high = pieces[1];
        const float factor[lane_sums] = {low.x,  low.y,  low.z,  low.w,
                                         high.x, high.y, high.z, high.w};
#pragma unroll
        for (unsigned i = 0; i < lane_sums; ++i)
          sum[q][i] = __fmaf_rn(factor[i], element[i], sum[q][i]);
      }
    }
  }
}

/// A warp takes group after group.
template <unsigned Queries, class Element>
__global__ void __launch_bounds__(block_threads)
    scan(const Element* rows, const scan_shape shape, const float* queries,
         const float* inverse_norms, std::uint64_t* maxima) {
  extern __shared__ float query[]; // [Queries, query_length], zeros past dim
  const unsigned query_length = padded_length(shape.stride);
  for (unsigned i = threadIdx.x; i < Queries * query_length; i += block_threads) {
    const unsigned at = i % query_length;
    query[i] = at < shape.stride ? queries[i / query_length * shape.stride + at] : 0.0f;
  }
  __syncthreads();
  const unsigned lane = threadIdx.x % warp_size;
  const std::size_t step = std::size_t{gridDim.x} * warps_per_block;
  for (std::size_t group = std::size_t{blockIdx.x} * warps_per_block + threadIdx.x / warp_size;
       group < shape.groups; group += step) {
    std::uint64_t best[Queries] = {};
    for (unsigned p = 0; p < shape.group_passes; ++p) {
      const std::size_t row = (group * shape.group_passes + p) * rows_of_warp + lane / quad_lanes;
      const bool is_row = row < shape.rows;
      float sum[Queries][lane_sums] = {};
      add_products<Queries>(rows + (is_row ? row : shape.rows - 1) * shape.stride, shape.stride,
                            query, query_length, sum);
      const float inverse_norm = is_row ? __ldg(shape.row_inverse_norms + row) : 0.0f;
#pragma unroll
      for (unsigned q = 0; q < Queries; ++q) {
        const float score =
            canonical_score(add_tree<quad_lanes>(sum[q]), inverse_norms[q], inverse_norm);
        if (is_row && lane % quad_lanes == 0)
          best[q] = max(best[q], key_of(score, static_cast<std::uint32_t>(row)));
      }
    }
#pragma unroll
    for (unsigned q = 0; q < Queries; ++q) {
      for (unsigned mask = quad_lanes; mask < warp_size; mask *= 2)
        best[q] = max(best[q], __shfl_xor_sync(whole_warp, best[q], mask));
      if (lane == 0) maxima[q * shape.groups + group] = best[q];
    }
  }
}

template <unsigned Queries, class Element>
cudaError_t launch(const Element* rows, const scan_shape& shape, const float* queries,
                   const float* inverse_norms, std::uint64_t* maxima,
                   cudaStream_t stream) noexcept {
  const auto kernel = scan<Queries, Element>;
  const std::size_t bytes = Queries * padded_length(shape.stride) * sizeof(float);
  if (bytes > shared_bytes_default) {
    // The same limit for all: it is the kernel's, whichever thread launches it.
    const auto code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                           static_cast<int>(shared_bytes_limit()));
    if (code != cudaSuccess) return code;
  }
  // No more blocks than fit at once: each fetches the queries only once.
  const auto blocks = std::min<std::size_t>((shape.groups + warps_per_block - 1) / warps_per_block,
                                            std::size_t{blocks_at_once} * multiprocessors());
  kernel<<<static_cast<unsigned>(blocks), block_threads, bytes, stream>>>(rows, shape, queries,
                                                                          inverse_norms, maxima);
  return cudaGetLastError();
}

/// Scans for the next few queries; returns how many.
template <class Element>
cudaError_t scan_some(const Element* rows, const scan_shape& shape, const float* queries,
                      const float* inverse_norms, std::size_t left, std::uint64_t* maxima,
                      std::size_t& taken, cudaStream_t stream) noexcept {
  const bool fits = std::size_t{most_queries} * padded_length(shape.stride) * sizeof(float) <=
                    shared_bytes_limit();
  taken = left >= most_queries && fits ? most_queries : std::min<std::size_t>(left, 2);
  switch (taken) {
  case most_queries:
    return launch<most_queries>(rows, shape, queries, inverse_norms, maxima, stream);
  case 2:
    return launch<2>(rows, shape, queries, inverse_norms, maxima, stream);
  default:
    return launch<1>(rows, shape, queries, inverse_norms, maxima, stream);
  }
}

} // namespace

std::size_t scan_group_rows(std::size_t rows) noexcept {
  return rows <= 131072 ? rows_of_warp : 4 * rows_of_warp;
}

cudaError_t scan_maxima(const device_rows& rows, const float* queries, const float* inverse_norms,
                        std::size_t count, std::uint64_t* maxima, cudaStream_t stream) noexcept {
  scan_shape shape{};
  shape.row_inverse_norms = rows.inverse_norms;
  shape.rows = rows.rows;
  const auto group_rows = scan_group_rows(rows.rows);
  shape.groups = (rows.rows + group_rows - 1) / group_rows;
  shape.stride = static_cast<unsigned>(rows.stride());
  shape.group_passes = static_cast<unsigned>(group_rows / rows_of_warp);
  for (std::size_t q = 0; q < count;) {
    std::size_t taken = 0;
    const auto code = by_type(rows.type, rows.data, [&](const auto* data) {
      return scan_some(data, shape, queries + q * shape.stride, inverse_norms + q, count - q,
                       maxima + q * shape.groups, taken, stream);
    });
    if (code != cudaSuccess) return code;
    q += taken;
  }
  return cudaSuccess;
}

} // namespace engram::cuda
