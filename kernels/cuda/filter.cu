// The filter on Hopper: a producer warp keeps a ring of tiles in shared memory filled by bulk
// tensor copies, two consumer warpgroups multiply them, each 64 rows by N queries. Blocks stay for
// the whole launch; the tiles of one range of rows lie next to each other in the blocks' order, so
// that rows come from memory once and from the L2 cache for the other queries.

#include "engram/kernels/cuda/filter.hpp"
#include "engram/kernels/cuda/multiprocessors.hpp"
#include "engram/kernels/cuda/select.hpp"
#include "engram/kernels/cuda/wgmma.cuh"

#include <algorithm>

namespace engram::cuda {

namespace {

constexpr unsigned tile_rows = 128;
constexpr unsigned tile_depth = 64; // elements: 128 bytes, the width of the swizzle
constexpr unsigned element_bytes = 2;
constexpr unsigned warpgroup_threads = 128;
constexpr unsigned consumers = 2; // warpgroups
constexpr unsigned consumer_rows = tile_rows / consumers;
constexpr unsigned block_threads = (consumers + 1) * warpgroup_threads;
constexpr unsigned groups_of_tile = tile_rows / filter_group_rows;
constexpr unsigned ring_bytes = 200 * 1024;
constexpr unsigned tile_alignment = 1024; // the swizzle's period

template <int N>
struct ring {
  static constexpr unsigned row_bytes = tile_rows * tile_depth * element_bytes;
  static constexpr unsigned query_bytes = N * tile_depth * element_bytes;
  static constexpr unsigned stage_bytes = row_bytes + query_bytes;
  static constexpr unsigned stages = ring_bytes / stage_bytes < 10 ? ring_bytes / stage_bytes : 10;
  static constexpr unsigned shared_bytes = stages * stage_bytes + tile_alignment;

  /// Where the ring stands: a stage, and the parity of its barriers.
  struct place {
    unsigned stage = 0;
    unsigned parity = 0;
    __device__ void advance() {
      if (++stage == stages) {
        stage = 0;
        parity ^= 1;
      }
    }
  };
};

struct filter_shape {
  const float* inverse_norms;
  std::uint32_t* maxima;
  std::size_t rows;
  std::size_t groups;
  unsigned queries;
  unsigned query_tiles;
  unsigned tiles;
  unsigned depths; ///< tiles of tile_depth elements that a vector takes
};

template <int N>
struct shared_state {
  unsigned char* tiles;
  sm90::barrier* full;
  sm90::barrier* empty;

  __device__ unsigned char* rows(unsigned stage) const {
    return tiles + stage * ring<N>::stage_bytes;
  }
  __device__ unsigned char* queries(unsigned stage) const {
    return rows(stage) + ring<N>::row_bytes;
  }
};

template <int N>
__device__ void produce(const CUtensorMap& row_map, const CUtensorMap& query_map,
                        const filter_shape& shape, const shared_state<N>& shared) {
  typename ring<N>::place at;
  for (unsigned tile = blockIdx.x; tile < shape.tiles; tile += gridDim.x) {
    const int first_row = static_cast<int>(tile / shape.query_tiles * tile_rows);
    const int first_query = static_cast<int>(tile % shape.query_tiles * N);
    for (unsigned d = 0; d < shape.depths; ++d) {
      shared.empty[at.stage].wait(at.parity ^ 1);
      auto& full = shared.full[at.stage];
      full.arrive_and_expect(ring<N>::stage_bytes);
      const int column = static_cast<int>(d * tile_depth);
      sm90::copy_box(shared.rows(at.stage), row_map, column, first_row, full);
      sm90::copy_box(shared.queries(at.stage), query_map, column, first_query, full);
      at.advance();
    }
  }
}

/// Multiplies all depths of a tile into `sum`.
template <int N, class Element>
__device__ void multiply(float (&sum)[N / 2], unsigned depths, unsigned consumer,
                         const shared_state<N>& shared, typename ring<N>::place& at) {
  constexpr unsigned step_elements = 16;
  constexpr unsigned step_units = step_elements * element_bytes / 16; // in the descriptor's units
  const unsigned row_offset = consumer * consumer_rows * tile_depth * element_bytes;
  unsigned previous = 0;
  for (unsigned d = 0; d < depths; ++d) {
    shared.full[at.stage].wait(at.parity);
    const std::uint64_t rows = sm90::describe_tile(shared.rows(at.stage) + row_offset);
    const std::uint64_t queries = sm90::describe_tile(shared.queries(at.stage));
    sm90::fence_products();
#pragma unroll
    for (unsigned s = 0; s < tile_depth / step_elements; ++s)
      sm90::product<N, Element>::add(sum, rows + s * step_units, queries + s * step_units,
                                     d > 0 || s > 0);
    sm90::commit_products();
    sm90::await_products<1>(); // the stage before is read
    if (d > 0 && threadIdx.x % 32 == 0) shared.empty[previous].arrive();
    previous = at.stage;
    at.advance();
  }
  sm90::await_products<0>();
  if (threadIdx.x % 32 == 0) shared.empty[previous].arrive();
}

/// Leaves each of a warp's columns' greatest over 16 rows with one lane, by halves: in each step a
/// lane keeps one half of its columns and gives the other to its partner, while it has two to part.
/// Returns which of the `Count` values the first one kept was.
template <int Count, int Mask>
__device__ unsigned reduce_columns(float* value) {
  const bool upper = threadIdx.x & Mask;
  if constexpr (Count > 1) {
    constexpr int half = Count / 2;
#pragma unroll
    for (int i = 0; i < half; ++i) {
      const float kept = upper ? value[i + half] : value[i];
      const float given = upper ? value[i] : value[i + half];
      value[i] = fmaxf(kept, __shfl_xor_sync(0xffffffffu, given, Mask));
    }
    const unsigned first = upper ? half : 0;
    if constexpr (Mask > 4)
      return first + reduce_columns<half, Mask / 2>(value);
    else
      return first;
  } else {
    value[0] = fmaxf(value[0], __shfl_xor_sync(0xffffffffu, value[0], Mask));
    if constexpr (Mask > 4) return reduce_columns<1, Mask / 2>(value);
    return 0;
  }
}

/// Writes the greatest score of each group of 16 rows for each query of the tile.
template <int N>
__device__ void write_maxima(const float (&sum)[N / 2], unsigned tile, unsigned consumer,
                             const filter_shape& shape) {
  const unsigned lane = threadIdx.x % 32;
  const unsigned warp = threadIdx.x / 32 % 4;
  const std::size_t group =
      std::size_t{tile / shape.query_tiles} * groups_of_tile + consumer * 4 + warp;
  const std::size_t row = group * filter_group_rows + lane / 4;
  const float never = __int_as_float(0xff800000); // -infinity
  const bool is_low = row < shape.rows;
  const bool is_high = row + 8 < shape.rows;
  const float low = is_low ? __ldg(shape.inverse_norms + row) : 0.0f;
  const float high = is_high ? __ldg(shape.inverse_norms + row + 8) : 0.0f;
  const float low_bias = is_low ? 0.0f : never; // rows past the end are zeros and must not win
  const float high_bias = is_high ? 0.0f : never;

  // value[2 j + c]: column 8 j + 2 (lane % 4) + c
  float value[N / 4];
#pragma unroll
  for (int i = 0; i < N / 4; ++i) {
    const int at = i / 2 * 4 + i % 2;
    value[i] = fmaxf(__fmaf_rn(sum[at], low, low_bias), __fmaf_rn(sum[at + 2], high, high_bias));
  }
  const unsigned first = reduce_columns<N / 4, 16>(value);
  if (group >= shape.groups) return;
  constexpr int kept = N / 4 >= 8 ? N / 32 : 1;
  const unsigned first_query = tile % shape.query_tiles * N;
#pragma unroll
  for (int i = 0; i < kept; ++i) {
    const unsigned index = first + i;
    const unsigned query = first_query + index / 2 * 8 + lane % 4 * 2 + index % 2;
    if (query < shape.queries) shape.maxima[query * shape.groups + group] = ordered(value[i]);
  }
}

template <int N, class Element>
__global__ void __launch_bounds__(block_threads, 1)
    filter(const __grid_constant__ CUtensorMap row_map,
           const __grid_constant__ CUtensorMap query_map, const filter_shape shape) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ unsigned char dynamic[];
  __shared__ sm90::barrier full[ring<N>::stages];
  __shared__ sm90::barrier empty[ring<N>::stages];
  const std::uint32_t misplaced = sm90::shared_address(dynamic) % tile_alignment;
  const shared_state<N> shared{dynamic + (misplaced ? tile_alignment - misplaced : 0), full, empty};
  if (threadIdx.x == 0) {
    for (unsigned s = 0; s < ring<N>::stages; ++s) {
      full[s].init(1);
      empty[s].init(consumers * 4); // one arrival a warp
    }
    sm90::publish_barriers();
  }
  __syncthreads();

  const unsigned warpgroup = threadIdx.x / warpgroup_threads;
  if (warpgroup == consumers) {
    sm90::give_registers_back<40>();
    if (threadIdx.x % warpgroup_threads == 0) {
      sm90::prefetch(row_map);
      sm90::prefetch(query_map);
      produce<N>(row_map, query_map, shape, shared);
    }
  } else {
    sm90::take_registers<232>();
    typename ring<N>::place at;
    float sum[N / 2];
    for (unsigned tile = blockIdx.x; tile < shape.tiles; tile += gridDim.x) {
      multiply<N, Element>(sum, shape.depths, warpgroup, shared, at);
      write_maxima<N>(sum, tile, warpgroup, shape);
    }
  }
#endif
}

// -- launching --

using encode_function = CUresult (*)(CUtensorMap*, CUtensorMapDataType, cuuint32_t, void*,
                                     const cuuint64_t*, const cuuint64_t*, const cuuint32_t*,
                                     const cuuint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                     CUtensorMapL2promotion, CUtensorMapFloatOOBfill);

/// Returns the driver's encoder, found at run time so that nothing links with the driver.
encode_function find_encoder() noexcept {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult status{};
  const auto code = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000,
                                                     cudaEnableDefault, &status);
  return code == cudaSuccess && status == cudaDriverEntryPointSuccess
             ? reinterpret_cast<encode_function>(found)
             : nullptr;
}

/// Describes a matrix [rows, stride] of 16-bit elements that is copied in boxes of `box_rows`.
bool describe_matrix(CUtensorMap& map, const void* data, element_type type, std::size_t rows,
                     std::size_t stride, unsigned box_rows) noexcept {
  static const encode_function encode = find_encoder();
  if (!encode) return false;
  const cuuint64_t sizes[] = {stride, rows};
  const cuuint64_t strides[] = {stride * element_bytes};
  const cuuint32_t box[] = {tile_depth, box_rows};
  const cuuint32_t steps[] = {1, 1};
  return encode(&map,
                type == element_type::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                                          : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                2, const_cast<void*>(data), sizes, strides, box, steps,
                CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
                CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE) == CUDA_SUCCESS;
}

template <int N, class Element>
cudaError_t launch(const device_rows& rows, const void* queries, std::size_t count,
                   std::uint32_t* maxima, cudaStream_t stream) noexcept {
  CUtensorMap row_map, query_map;
  if (!describe_matrix(row_map, rows.narrow, rows.narrow_type, rows.rows, rows.stride(),
                       tile_rows) ||
      !describe_matrix(query_map, queries, rows.narrow_type, count, rows.stride(), N))
    return cudaErrorInvalidValue;
  filter_shape shape{};
  shape.inverse_norms = rows.inverse_norms;
  shape.maxima = maxima;
  shape.rows = rows.rows;
  shape.groups = (rows.rows + filter_group_rows - 1) / filter_group_rows;
  shape.queries = static_cast<unsigned>(count);
  shape.query_tiles = static_cast<unsigned>((count + N - 1) / N);
  shape.tiles = static_cast<unsigned>((rows.rows + tile_rows - 1) / tile_rows) * shape.query_tiles;
  shape.depths = static_cast<unsigned>((rows.stride() + tile_depth - 1) / tile_depth);
  const auto kernel = filter<N, Element>;
  constexpr auto bytes = ring<N>::shared_bytes;
  if (const auto code =
          cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
      code != cudaSuccess)
    return code;
  const auto blocks = std::min(shape.tiles, multiprocessors());
  kernel<<<blocks, block_threads, bytes, stream>>>(row_map, query_map, shape);
  return cudaGetLastError();
}

template <class Element>
cudaError_t launch_for_count(const device_rows& rows, const void* queries, std::size_t count,
                             std::uint32_t* maxima, cudaStream_t stream) noexcept {
  if (count <= 8) return launch<8, Element>(rows, queries, count, maxima, stream);
  if (count <= 32) return launch<32, Element>(rows, queries, count, maxima, stream);
  if (count <= 64) return launch<64, Element>(rows, queries, count, maxima, stream);
  // The wider tile reads less from the cache for each product, unless it would be half empty.
  const bool half_empty = (count - 1) % 256 < 128;
  if (half_empty && count <= 3 * 128)
    return launch<128, Element>(rows, queries, count, maxima, stream);
  return launch<256, Element>(rows, queries, count, maxima, stream);
}

} // namespace

bool filter_is_supported(int compute_major, int compute_minor) noexcept {
  return compute_major == 9 && compute_minor == 0; // its code is for this capability alone
}

cudaError_t filter_maxima(const device_rows& rows, const void* queries, std::size_t count,
                          std::uint32_t* maxima, cudaStream_t stream) noexcept {
  if (count == 0) return cudaSuccess;
  return rows.narrow_type == element_type::f16
             ? launch_for_count<__half>(rows, queries, count, maxima, stream)
             : launch_for_count<__nv_bfloat16>(rows, queries, count, maxima, stream);
}

} // namespace engram::cuda
