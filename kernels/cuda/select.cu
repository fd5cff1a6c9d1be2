#include "engram/kernels/cuda/select.hpp"

#include <type_traits>

namespace engram::cuda {

namespace {

constexpr unsigned warp_lanes = 32;
constexpr unsigned whole_warp = 0xffffffffu;
constexpr unsigned slots = 8; // values that a thread keeps in registers
constexpr unsigned sort_room = 2 * max_take;

/// Adds up one number of each warp over the block, again and again, with one barrier a sum.
/// Three counters: while one is added to, the next is cleared and the one before is still read.
class block_counter {
public:
  __device__ explicit block_counter(unsigned (&counters)[3]) : counters_(counters) {
    if (threadIdx.x < 3) counters_[threadIdx.x] = 0;
    __syncthreads();
  }

  /// Returns the sum of every warp's `mine`, which is the same on all lanes of a warp.
  __device__ unsigned sum(unsigned mine) {
    if (threadIdx.x % warp_lanes == 0 && mine) atomicAdd(&counters_[turn_], mine);
    const unsigned next = turn_ == 2 ? 0 : turn_ + 1;
    if (threadIdx.x == 0) counters_[next] = 0;
    __syncthreads();
    const unsigned total = counters_[turn_];
    turn_ = next;
    return total;
  }

private:
  unsigned (&counters_)[3];
  unsigned turn_ = 0;
};

__device__ unsigned lanes_where(bool condition) {
  return __popc(__ballot_sync(whole_warp, condition));
}

/// Returns a value that at least k of the block's values reach, and as few more as it can find: the
/// k-th greatest, or 0 if there are fewer than k. `count(v)` returns how many of this warp's reach
/// v; every thread calls it.
template <class Value, class Count>
__device__ Value kth_greatest(unsigned k, block_counter& counter, Count&& count) {
  Value found = 0;
  for (int bit = 8 * int{sizeof(Value)} - 1; bit >= 0; --bit) {
    const Value candidate = found | Value{1} << bit;
    const unsigned reached = counter.sum(count(candidate));
    if (reached >= k) found = candidate;
    if (reached == k) break; // lower bits would not part anything
  }
  return found;
}

/// The greatest of this thread's share of values in each of a few slots. With at most
/// slots * blockDim.x values a slot holds one, and then the k-th greatest slot is exact; with more
/// it is a lower bound that is hardly ever missed by much, because large values rarely share a
/// slot.
template <class Value>
class slot_maxima {
public:
  __device__ slot_maxima(const Value* values, std::size_t count) {
    const std::size_t round = std::size_t{slots} * blockDim.x;
    for (std::size_t base = threadIdx.x; base < count; base += round)
#pragma unroll
      for (unsigned s = 0; s < slots; ++s) {
        const std::size_t at = base + std::size_t{s} * blockDim.x;
        if (at < count) greatest_[s] = max(greatest_[s], values[at]);
      }
    used_ = static_cast<unsigned>(min(std::size_t{slots}, (count + blockDim.x - 1) / blockDim.x));
  }

  __device__ unsigned count_reaching(Value v) const {
    unsigned reached = 0;
#pragma unroll
    for (unsigned s = 0; s < slots; ++s)
      if (s < used_) reached += lanes_where(greatest_[s] >= v);
    return reached;
  }

private:
  Value greatest_[slots] = {};
  unsigned used_;
};

/// Returns how many of this warp's share of `values` reach `v`.
template <class Value>
__device__ unsigned count_reaching(const Value* values, std::size_t count, Value v) {
  unsigned reached = 0;
  const std::size_t rounds = (count + blockDim.x - 1) / blockDim.x;
  for (std::size_t r = 0; r < rounds; ++r) {
    const std::size_t at = r * blockDim.x + threadIdx.x;
    reached += lanes_where(at < count && values[at] >= v);
  }
  return reached;
}

/// Calls `emit(slot, index)` for every value that reaches `cut`, slots 0, 1, 2, ... in no
/// particular order. `*taken` in shared memory starts at 0 and ends as their number.
template <class Value, class Emit>
__device__ void collect(const Value* values, std::size_t count, Value cut, unsigned* taken,
                        Emit&& emit) {
  const std::size_t rounds = (count + blockDim.x - 1) / blockDim.x;
  const unsigned lane = threadIdx.x % warp_lanes;
  for (std::size_t r = 0; r < rounds; ++r) {
    const std::size_t at = r * blockDim.x + threadIdx.x;
    const bool wanted = at < count && values[at] >= cut;
    const unsigned mask = __ballot_sync(whole_warp, wanted);
    if (mask == 0) continue;
    unsigned first = 0;
    if (lane == 0) first = atomicAdd(taken, __popc(mask));
    first = __shfl_sync(whole_warp, first, 0);
    if (wanted) emit(first + __popc(mask & ((1u << lane) - 1u)), at);
  }
}

/// Returns a cut that the k greatest values reach and at most `room` values in all; 0 stands for
/// "no value" and never reaches it. Distinct values make that possible for every room >= k.
__device__ std::uint64_t cut_of(const std::uint64_t* values, std::size_t count, unsigned k,
                                unsigned room, block_counter& counter) {
  const slot_maxima<std::uint64_t> maxima(values, count);
  std::uint64_t cut = kth_greatest<std::uint64_t>(
      k, counter, [&](std::uint64_t v) { return maxima.count_reaching(v); });
  cut = max(cut, std::uint64_t{1});
  if (counter.sum(count_reaching(values, count, cut)) > room) // large values shared a slot
    cut = kth_greatest<std::uint64_t>(
        k, counter, [&](std::uint64_t v) { return count_reaching(values, count, v); });
  return max(cut, std::uint64_t{1});
}

/// Returns the cut that every value within `margin` of the k-th greatest reaches.
__device__ std::uint32_t cut_within(const std::uint32_t* values, std::size_t count, unsigned k,
                                    float margin, block_counter& counter) {
  const slot_maxima<std::uint32_t> maxima(values, count);
  const auto kth = kth_greatest<std::uint32_t>(
      k, counter, [&](std::uint32_t v) { return maxima.count_reaching(v); });
  return kth == 0 ? 0 : ordered(__fsub_rd(from_ordered(kth), margin));
}

/// One block a list.
template <class Value>
__global__ void pick(const Value* maxima, std::size_t groups, const std::uint32_t* k,
                     const float* margin, std::uint32_t cap, std::uint32_t* picked,
                     std::uint32_t* picked_counts) {
  __shared__ unsigned counters[3];
  __shared__ unsigned taken;
  const std::size_t list = blockIdx.x;
  const Value* mine = maxima + list * groups;
  std::uint32_t* out = picked + list * cap;
  const auto wanted = static_cast<unsigned>(min(std::size_t{k[list]}, groups));
  if (threadIdx.x == 0) taken = 0;
  block_counter counter(counters);
  Value cut;
  if constexpr (std::is_same_v<Value, std::uint64_t>)
    cut = cut_of(mine, groups, wanted, cap, counter);
  else
    cut = cut_within(mine, groups, wanted, margin[list], counter);
  collect(mine, groups, cut, &taken, [&](unsigned slot, std::size_t group) {
    if (slot < cap) out[slot] = static_cast<std::uint32_t>(group);
  });
  __syncthreads();
  if (threadIdx.x == 0) picked_counts[list] = taken <= cap ? taken : overflowed;
}

/// Sorts keys[0, size) descending; size is a power of two. Comparators of a stride up to a warp's
/// lanes touch only the 64 keys of their own warp, so that a barrier of the warp suffices there.
__device__ void sort_descending(std::uint64_t* keys, unsigned size) {
  __syncthreads();
  for (unsigned run = 2; run <= size; run *= 2)
    for (unsigned stride = run / 2; stride > 0; stride /= 2) {
      for (unsigned c = threadIdx.x; c < size / 2; c += blockDim.x) {
        const unsigned low = 2 * stride * (c / stride) + c % stride;
        const std::uint64_t a = keys[low];
        const std::uint64_t b = keys[low + stride];
        const bool descending = (low & run) == 0;
        if ((a < b) == descending) {
          keys[low] = b;
          keys[low + stride] = a;
        }
      }
      const unsigned next = stride > 1 ? stride / 2 : run;
      if (stride > warp_lanes || next > warp_lanes)
        __syncthreads();
      else
        __syncwarp();
    }
  __syncthreads();
}

/// One block a list.
__global__ void best_of(const std::uint64_t* keys, std::size_t stride, const std::uint32_t* counts,
                        const std::uint32_t* k, hit* out, std::size_t out_stride,
                        std::uint32_t* out_counts) {
  __shared__ std::uint64_t kept[sort_room];
  __shared__ unsigned counters[3];
  __shared__ unsigned taken;
  const std::size_t list = blockIdx.x;
  const unsigned count = counts[list];
  if (count == overflowed) {
    if (threadIdx.x == 0) out_counts[list] = overflowed;
    return;
  }
  const std::uint64_t* mine = keys + list * stride;
  const unsigned wanted = min(k[list], max_take);
  if (threadIdx.x == 0) taken = 0;
  block_counter counter(counters);
  const std::uint64_t cut =
      count <= sort_room ? 1 : cut_of(mine, count, wanted, sort_room, counter);
  collect(mine, count, cut, &taken, [&](unsigned slot, std::size_t at) { kept[slot] = mine[at]; });
  __syncthreads();
  const unsigned found = taken;
  unsigned size = 2;
  while (size < found)
    size *= 2;
  for (unsigned i = found + threadIdx.x; i < size; i += blockDim.x)
    kept[i] = 0;
  sort_descending(kept, size);
  const unsigned answers = min(wanted, found);
  for (unsigned i = threadIdx.x; i < answers; i += blockDim.x)
    out[list * out_stride + i] = hit_of(kept[i]);
  if (threadIdx.x == 0) out_counts[list] = answers;
}

/// More threads shorten one list's way; fewer let more lists share a multiprocessor.
unsigned threads_for(std::size_t length) noexcept {
  return length <= 1024 ? 256 : 1024;
}

} // namespace

cudaError_t pick_groups(const std::uint64_t* maxima, std::size_t lists, std::size_t groups,
                        const std::uint32_t* k, std::uint32_t cap, std::uint32_t* picked,
                        std::uint32_t* picked_counts, cudaStream_t stream) noexcept {
  if (lists == 0) return cudaSuccess;
  pick<<<static_cast<unsigned>(lists), threads_for(groups), 0, stream>>>(
      maxima, groups, k, nullptr, cap, picked, picked_counts);
  return cudaGetLastError();
}

cudaError_t pick_groups_within(const std::uint32_t* maxima, std::size_t lists, std::size_t groups,
                               const std::uint32_t* k, const float* margin, std::uint32_t cap,
                               std::uint32_t* picked, std::uint32_t* picked_counts,
                               cudaStream_t stream) noexcept {
  if (lists == 0) return cudaSuccess;
  pick<<<static_cast<unsigned>(lists), threads_for(groups), 0, stream>>>(
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
