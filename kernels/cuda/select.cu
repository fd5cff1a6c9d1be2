#include "engram/kernels/cuda/select.cuh"

namespace engram::cuda {

namespace {

constexpr unsigned sort_room = 2 * max_take;

/// One block a list.
__global__ void __launch_bounds__(most_threads)
    pick(const std::uint64_t* maxima, std::size_t groups, const std::uint32_t* k, std::uint32_t cap,
         std::uint32_t* picked, std::uint32_t* picked_counts) {
  __shared__ select_memory<std::uint64_t> memory;
  const std::size_t list = blockIdx.x;
  block_counter counter(memory.counters);
  const auto wanted = static_cast<unsigned>(min(std::size_t{k[list]}, groups));
  const unsigned taken = choose(
      maxima + list * groups, groups, wanted, cap, memory, counter,
      [](std::uint64_t bound) { return bound; },
      [&](unsigned slot, std::size_t group) {
        picked[list * cap + slot] = static_cast<std::uint32_t>(group);
      });
  if (threadIdx.x == 0) picked_counts[list] = taken;
}

/// One block a list.
__global__ void __launch_bounds__(most_threads)
    pick_within(const std::uint32_t* maxima, std::size_t groups, const std::uint32_t* k,
                const float* margin, std::uint32_t cap, std::uint32_t* picked,
                std::uint32_t* picked_counts) {
  __shared__ select_memory<std::uint32_t> memory;
  const std::size_t list = blockIdx.x;
  block_counter counter(memory.counters);
  const auto wanted = static_cast<unsigned>(min(std::size_t{k[list]}, groups));
  const unsigned taken = choose(
      maxima + list * groups, groups, wanted, cap, memory, counter,
      [&](std::uint32_t bound) { return lower(bound, margin[list]); },
      [&](unsigned slot, std::size_t group) {
        picked[list * cap + slot] = static_cast<std::uint32_t>(group);
      });
  if (threadIdx.x == 0) picked_counts[list] = taken <= cap ? taken : overflowed;
}

/// One block a list.
__global__ void __launch_bounds__(most_threads)
    best_of(const std::uint64_t* keys, std::size_t stride, const std::uint32_t* counts,
            const std::uint32_t* k, hit* out, std::size_t out_stride, std::uint32_t* out_counts) {
  __shared__ alignas(16) std::uint64_t kept[sort_room];
  __shared__ select_memory<std::uint64_t> memory;
  const std::size_t list = blockIdx.x;
  const unsigned count = counts[list];
  if (count == overflowed) {
    if (threadIdx.x == 0) out_counts[list] = overflowed;
    return;
  }
  block_counter counter(memory.counters);
  const std::uint64_t* mine = keys + list * stride;
  const unsigned wanted = min(k[list], max_take);
  unsigned found = count;
  if (count <= sort_room)
    for (unsigned i = threadIdx.x; i < count; i += blockDim.x)
      kept[i] = mine[i];
  else
    found = choose(
        mine, count, wanted, sort_room, memory, counter, [](std::uint64_t bound) { return bound; },
        [&](unsigned slot, std::size_t at) { kept[slot] = mine[at]; });
  __syncthreads();
  write_best(kept, found, wanted, counter, out + list * out_stride, out_counts + list);
}

/// More threads shorten one list's way; fewer let more lists share a multiprocessor.
unsigned threads_for(std::size_t length) noexcept {
  return length <= 1024 ? 256 : most_threads;
}

} // namespace

cudaError_t pick_groups(const std::uint64_t* maxima, std::size_t lists, std::size_t groups,
                        const std::uint32_t* k, std::uint32_t cap, std::uint32_t* picked,
                        std::uint32_t* picked_counts, cudaStream_t stream) noexcept {
  if (lists == 0) return cudaSuccess;
  pick<<<static_cast<unsigned>(lists), threads_for(groups), 0, stream>>>(maxima, groups, k, cap,
                                                                         picked, picked_counts);
  return cudaGetLastError();
}

cudaError_t pick_groups_within(const std::uint32_t* maxima, std::size_t lists, std::size_t groups,
                               const std::uint32_t* k, const float* margin, std::uint32_t cap,
                               std::uint32_t* picked, std::uint32_t* picked_counts,
                               cudaStream_t stream) noexcept {
  if (lists == 0) return cudaSuccess;
  pick_within<<<static_cast<unsigned>(lists), threads_for(groups), 0, stream>>>(
      maxima, groups, k, margin, cap, picked, picked_counts);
  return cudaGetLastError();
}

cudaError_t take_best(const std::uint64_t* keys, std::size_t lists, std::size_t stride,
                      const std::uint32_t* counts, const std::uint32_t* k, hit* out,
                      std::size_t out_stride, std::uint32_t* out_counts,
                      cudaStream_t stream) noexcept {
  if (lists == 0) return cudaSuccess;
  best_of<<<static_cast<unsigned>(lists), threads_for(stride), 0, stream>>>(
      keys, stride, counts, k, out, out_stride, out_counts);
  return cudaGetLastError();
}

} // namespace engram::cuda
