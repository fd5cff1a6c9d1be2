#include "engram/base/trace.hpp"
#include "engram/kernels/cuda/by_type.cuh"
#include "engram/kernels/cuda/canonical.cuh"
#include "engram/kernels/cuda/carver.hpp"
#include "engram/kernels/cuda/filter.hpp"
#include "engram/kernels/cuda/scan.hpp"
#include "engram/kernels/cuda/search.hpp"
#include "engram/kernels/cuda/select.cuh"

#include <algorithm>
#include <bit>

namespace engram::cuda {

namespace {

// -- queries for the filter --

constexpr unsigned narrow_threads = 128;

__device__ inline void store(__half* at, float value) {
  *at = __float2half_rn(value);
}
__device__ inline void store(__nv_bfloat16* at, float value) {
  *at = __float2bfloat16_rn(value);
}
__device__ inline float load(const __half* at) {
  return __half2float(*at);
}
__device__ inline float load(const __nv_bfloat16* at) {
  return __bfloat162float(*at);
}

/// Returns how far a filter's score can be from the final one, for a unit query that rounding
/// moved by `query_residual` and rows that it moved by `row_residual` of their length at most:
///   |q.t - q'.t'| <= |q - q'| |t| + |q'| |t - t'|            rounding the operands
///   dim 2^-22 |q'| |t'|      each of the tensor cores' additions is off by less than 2^-22 of
///                            what it adds to, since they align and cut off, and there are no
///                            more than dim of them
///   dim 2^-28 + 2^-18        the final score's own sum in float32, dim / 32 additions in a row,
///                            and scaling by the norms
__device__ float filter_error(float query_residual, float row_residual, unsigned dim) {
  const float moved = query_residual + (1.0f + query_residual) * row_residual;
  const auto terms = static_cast<float>(dim);
  return 1.01f * (moved + terms * 0x1p-22f) + terms * 0x1p-28f + 0x1p-18f;
}

/// Scales a query to length one, rounds it and bounds what the filter may get wrong. One block a
/// query.
template <class Narrow>
__global__ void narrow_queries(const float* queries, const float* inverse_norms, unsigned stride,
                               float row_residual, Narrow* out, float* margin) {
  __shared__ float of_warp[narrow_threads / warp_size];
  const float scale = inverse_norms[blockIdx.x];
  const float* query = queries + std::size_t{blockIdx.x} * stride;
  Narrow* narrow = out + std::size_t{blockIdx.x} * stride;
  float squares = 0.0f;
  for (unsigned i = threadIdx.x; i < stride; i += narrow_threads) {
    const float value = query[i] * scale;
    store(narrow + i, value);
    const float moved = value - load(narrow + i);
    squares += moved * moved;
  }
  for (unsigned width = warp_size / 2; width > 0; width /= 2)
    squares += __shfl_xor_sync(whole_warp, squares, width);
  if (threadIdx.x % warp_size == 0) of_warp[threadIdx.x / warp_size] = squares;
  __syncthreads();
  if (threadIdx.x != 0) return;
  float total = 0.0f;
  for (const float each : of_warp)
    total += each;
  // Both the k-th best and a row that could beat it may be off, in opposite directions.
  margin[blockIdx.x] = 2.0f * filter_error(sqrtf(total), row_residual, stride);
}

// -- final scores of picked groups --

constexpr unsigned rescore_warps = 4;

struct rescore_shape {
  std::size_t rows;
  unsigned stride;
  unsigned group_rows; ///< a power of two, rows_of_warp at least
  unsigned group_bits; ///< its logarithm
  std::uint32_t cap;   ///< groups that there is room for, a query
};

/// One column of blocks a query, a warp for every eight rows.
template <class Element>
__global__ void rescore(const Element* rows, const float* row_inverse_norms, rescore_shape shape,
                        const float* queries, const float* inverse_norms,
                        const std::uint32_t* picked, const std::uint32_t* picked_counts,
                        std::uint64_t* keys, std::uint32_t* key_counts) {
  const unsigned q = blockIdx.y;
  const unsigned lane = threadIdx.x % warp_size;
  const std::uint32_t count = picked_counts[q];
  if (blockIdx.x == 0 && threadIdx.x == 0)
    key_counts[q] = count == overflowed ? overflowed : count * shape.group_rows;
  if (count == overflowed) return;
  const unsigned pieces = shape.group_rows / rows_of_warp;
  for (unsigned piece = blockIdx.x * rescore_warps + threadIdx.x / warp_size;
       piece < count * pieces; piece += gridDim.x * rescore_warps) {
    const std::size_t group = picked[std::size_t{q} * shape.cap + piece / pieces];
    const std::size_t row =
        group * shape.group_rows + piece % pieces * rows_of_warp + lane / quad_lanes;
    const bool is_row = row < shape.rows;
    const float dot = quad_dot(queries + std::size_t{q} * shape.stride,
                               rows + (is_row ? row : shape.rows - 1) * shape.stride, shape.stride);
    if (lane % quad_lanes == 0) {
      const float score =
          canonical_score(dot, inverse_norms[q], is_row ? row_inverse_norms[row] : 0.0f);
      keys[std::size_t{q} * shape.cap * shape.group_rows + piece * rows_of_warp +
           lane / quad_lanes] = is_row ? key_of(score, static_cast<std::uint32_t>(row)) : 0;
    }
  }
}

// -- the end in one launch, for what fits into a block's shared memory --

constexpr unsigned max_dim = 8192;
constexpr unsigned finish_keys = 2048; // a power of two, for sorting
constexpr unsigned finish_lanes = 16;  // of a row: few steps, all of them under way at once
template <class Element>
constexpr unsigned finish_ahead = 12 * sizeof(float) / sizeof(Element);

template <class Value>
__device__ Value lowered_bound(Value bound, const float* margin) {
  if constexpr (sizeof(Value) == sizeof(std::uint32_t))
    return lower(bound, margin[blockIdx.x]);
  else
    return bound;
}

/// Picks, rescores and takes the best. One block a query.
template <class Value, class Element>
__global__ void __launch_bounds__(most_threads)
    finish(const Value* maxima, std::size_t groups, const std::uint32_t* k, const float* margin,
           const Element* rows, const float* row_inverse_norms, rescore_shape shape,
           const float* queries, const float* inverse_norms, hit* hits, std::size_t hits_stride,
           std::uint32_t* hit_counts) {
  extern __shared__ float query[]; // padded to steps
  __shared__ alignas(16) std::uint64_t keys[finish_keys];
  __shared__ std::uint32_t picked[finish_keys / rows_of_warp];
  __shared__ select_memory<Value> memory;
  const std::size_t q = blockIdx.x;
  for (unsigned i = threadIdx.x; i < query_length<finish_ahead<Element>>(shape.stride);
       i += blockDim.x)
    query[i] = i < shape.stride ? queries[q * shape.stride + i] : 0.0f;
  block_counter counter(memory.counters);
  const auto wanted = static_cast<unsigned>(min(std::size_t{k[q]}, groups));
  const unsigned taken = choose(
      maxima + q * groups, groups, wanted, shape.cap, memory, counter,
      [&](Value bound) { return lowered_bound(bound, margin); },
      [&](unsigned slot, std::size_t group) { picked[slot] = static_cast<std::uint32_t>(group); });
  if (taken > shape.cap) {
    if (threadIdx.x == 0) hit_counts[q] = overflowed;
    return;
  }
  const unsigned count = taken * shape.group_rows;
  for (unsigned base = 0; base < count; base += blockDim.x / finish_lanes) {
    const unsigned at = base + threadIdx.x / finish_lanes;
    const bool is_mine = at < count;
    const std::size_t row =
        is_mine
            ? std::size_t{picked[at / shape.group_rows]} * shape.group_rows + at % shape.group_rows
            : 0;
    const bool is_row = is_mine && row < shape.rows;
    const float dot = canonical_dot<finish_lanes, finish_ahead<Element>, query_padding::to_steps>(
        query, rows + (is_row ? row : 0) * shape.stride, shape.stride);
    if (is_mine && threadIdx.x % finish_lanes == 0)
      keys[at] = is_row ? key_of(canonical_score(dot, inverse_norms[q], row_inverse_norms[row]),
                                 static_cast<std::uint32_t>(row))
                        : 0;
  }
  __syncthreads();
  write_best(keys, count, k[q], counter, hits + q * hits_stride, hit_counts + q);
}

// -- memory --

struct workspace {
  std::size_t group_rows;
  std::size_t groups;
  std::uint32_t cap; ///< groups that may be picked, a query
  std::uint16_t* narrow = nullptr;
  float* margin = nullptr;
  std::uint32_t* scores = nullptr;    ///< maxima of a filter
  std::uint64_t* scan_keys = nullptr; ///< maxima of a scan
  std::uint32_t* picked = nullptr;
  std::uint32_t* picked_counts = nullptr;
  std::uint64_t* keys = nullptr;
  std::uint32_t* key_counts = nullptr;

  workspace(const device_rows& rows, std::size_t count, std::uint32_t max_k, search_pass pass,
            carver& memory) noexcept
      : group_rows(pass == search_pass::filter ? filter_group_rows : scan_group_rows(rows.rows)),
        groups((rows.rows + group_rows - 1) / group_rows),
        // Half as many again for the filter's error, and some for small k.
        cap(static_cast<std::uint32_t>(
            std::min<std::size_t>(groups, std::size_t{max_k} + max_k / 2 + 32))) {
    if (pass == search_pass::filter) {
      narrow = memory.take<std::uint16_t>(count * rows.stride());
      margin = memory.take<float>(count);
      scores = memory.take<std::uint32_t>(count * groups);
    } else {
      scan_keys = memory.take<std::uint64_t>(count * groups);
    }
    picked = memory.take<std::uint32_t>(count * cap);
    picked_counts = memory.take<std::uint32_t>(count);
    keys = memory.take<std::uint64_t>(count * cap * group_rows);
    key_counts = memory.take<std::uint32_t>(count);
  }
};

// -- the steps --

cudaError_t fill_maxima(const device_rows& rows, const search_call& call, search_pass pass,
                        const workspace& work, cudaStream_t stream) noexcept {
  if (pass == search_pass::scan)
    return scan_maxima(rows, call.queries, call.inverse_norms, call.count, work.scan_keys, stream);
  const auto blocks = static_cast<unsigned>(call.count);
  const auto stride = static_cast<unsigned>(rows.stride());
  if (rows.narrow_type == element_type::f16)
    narrow_queries<<<blocks, narrow_threads, 0, stream>>>(
        call.queries, call.inverse_norms, stride, rows.narrow_residual,
        reinterpret_cast<__half*>(work.narrow), work.margin);
  else
    narrow_queries<<<blocks, narrow_threads, 0, stream>>>(
        call.queries, call.inverse_norms, stride, rows.narrow_residual,
        reinterpret_cast<__nv_bfloat16*>(work.narrow), work.margin);
  const auto code = cudaGetLastError();
  return code == cudaSuccess ? filter_maxima(rows, work.narrow, call.count, work.scores, stream)
                             : code;
}

rescore_shape shape_of(const device_rows& rows, const workspace& work) noexcept {
  return {.rows = rows.rows,
          .stride = static_cast<unsigned>(rows.stride()),
          .group_rows = static_cast<unsigned>(work.group_rows),
          .group_bits = static_cast<unsigned>(std::countr_zero(work.group_rows)),
          .cap = work.cap};
}

template <class Value>
cudaError_t finish_at_once(const device_rows& rows, const search_call& call, const Value* maxima,
                           const workspace& work, cudaStream_t stream) noexcept {
  // A whole block hurries for a few queries; many share a multiprocessor.
  constexpr std::size_t few_queries = 128;
  const unsigned threads = call.count <= few_queries ? most_threads : most_threads / 2;
  return by_type(rows.type, rows.data, [&]<class Element>(const Element* data) {
    const auto kernel = finish<Value, Element>;
    const auto bytes = static_cast<int>(
        query_length<finish_ahead<Element>>(static_cast<unsigned>(rows.stride())) * sizeof(float));
    // The most that any dim takes: the limit is the kernel's, for all threads that launch it.
    constexpr auto most =
        static_cast<int>(query_length<finish_ahead<Element>>(max_dim) * sizeof(float));
    const auto code =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, most);
    if (code != cudaSuccess) return code;
    kernel<<<static_cast<unsigned>(call.count), threads, bytes, stream>>>(
        maxima, work.groups, call.k, work.margin, data, rows.inverse_norms, shape_of(rows, work),
        call.queries, call.inverse_norms, call.hits, call.max_k, call.hit_counts);
    return cudaGetLastError();
  });
}

cudaError_t rescore_picked(const device_rows& rows, const search_call& call, const workspace& work,
                           cudaStream_t stream) noexcept {
  // Blocks for about k groups a query, fewer where the queries alone fill the GPU.
  constexpr std::size_t filling = 4096;
  const std::size_t pieces =
      std::min<std::size_t>(work.cap, call.max_k + 8) * work.group_rows / rows_of_warp;
  const auto columns = std::min((pieces + rescore_warps - 1) / rescore_warps,
                                std::max<std::size_t>(1, filling / call.count));
  const dim3 grid(static_cast<unsigned>(columns), static_cast<unsigned>(call.count));
  by_type(rows.type, rows.data, [&](const auto* data) {
    rescore<<<grid, rescore_warps * warp_size, 0, stream>>>(
        data, rows.inverse_norms, shape_of(rows, work), call.queries, call.inverse_norms,
        work.picked, work.picked_counts, work.keys, work.key_counts);
  });
  return cudaGetLastError();
}

cudaError_t finish_in_steps(const device_rows& rows, const search_call& call, search_pass pass,
                            const workspace& work, cudaStream_t stream) noexcept {
  auto code = pass == search_pass::scan
                  ? pick_groups(work.scan_keys, call.count, work.groups, call.k, work.cap,
                                work.picked, work.picked_counts, stream)
                  : pick_groups_within(work.scores, call.count, work.groups, call.k, work.margin,
                                       work.cap, work.picked, work.picked_counts, stream);
  if (code == cudaSuccess) code = rescore_picked(rows, call, work, stream);
  if (code != cudaSuccess) return code;
  return take_best(work.keys, call.count, work.cap * work.group_rows, work.key_counts, call.k,
                   call.hits, call.max_k, call.hit_counts, stream);
}

} // namespace

search_pass faster_pass(const device_rows& rows, std::size_t count) noexcept {
  // A scan has one launch less and smaller groups; a filter reads half the bytes of float32 rows.
  if (rows.rows > max_filter_rows) return search_pass::scan;
  const std::size_t few_rows = rows.type == element_type::f32 ? 32'768 : 262'144;
  return count == 1 && rows.rows <= few_rows ? search_pass::scan : search_pass::filter;
}

std::size_t search_workspace_bytes(const device_rows& rows, std::size_t count, std::uint32_t max_k,
                                   search_pass pass) noexcept {
  carver memory(nullptr);
  workspace(rows, count, max_k, pass, memory);
  return memory.used();
}

cudaError_t search(const device_rows& rows, const search_call& call, search_pass pass, void* memory,
                   cudaStream_t stream) noexcept {
  if (call.count == 0) return cudaSuccess;
  carver pieces(memory);
  const workspace work(rows, call.count, call.max_k, pass, pieces);
  if (const auto code = fill_maxima(rows, call, pass, work, stream); code != cudaSuccess)
    return code;
  const trace_range range{"refine"};
  if (work.cap * work.group_rows > finish_keys)
    return finish_in_steps(rows, call, pass, work, stream);
  return pass == search_pass::scan ? finish_at_once(rows, call, work.scan_keys, work, stream)
                                   : finish_at_once(rows, call, work.scores, work, stream);
}

} // namespace engram::cuda
