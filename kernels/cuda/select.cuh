#pragma once

// How a block chooses the best of many values. Values are unsigned integers that order like what
// they stand for; 0 is no value.

#include "engram/kernels/cuda/select.hpp"

#include <cstddef>
#include <cstdint>

namespace engram::cuda {

inline constexpr unsigned select_warp = 32;
inline constexpr unsigned select_all_lanes = 0xffffffffu;
inline constexpr unsigned most_threads = 1024;

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
    if (threadIdx.x % select_warp == 0 && mine) atomicAdd(&counters_[turn_], mine);
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

__device__ inline unsigned lanes_where(bool condition) {
  return __popc(__ballot_sync(select_all_lanes, condition));
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

// -- lower bounds of the k-th greatest, ever closer and dearer --
//
// The k-th greatest of some buckets' maxima is a lower bound of the k-th greatest value, and hardly
// ever much below it as long as the buckets are twice as many as k: large values rarely share one.

inline constexpr unsigned bucket_lanes = 8;
inline constexpr unsigned reads_ahead = 8;

/// Calls `use(value, index)` for this thread's share of the values, with some reads under way at
/// once. Lanes past the end get 0. Every thread of a warp makes the same calls.
template <class Value, class Use>
__device__ void for_share(const Value* values, std::size_t count, Use&& use) {
  const std::size_t round = std::size_t{reads_ahead} * blockDim.x;
  for (std::size_t base = 0; base < count; base += round) {
    Value read[reads_ahead];
#pragma unroll
    for (unsigned u = 0; u < reads_ahead; ++u) {
      const std::size_t at = base + std::size_t{u} * blockDim.x + threadIdx.x;
      read[u] = at < count ? __ldg(values + at) : Value{0};
    }
    use(read, base);
  }
}

/// The share of a few lanes is a bucket: for k up to half of those, with hardly any work.
template <class Value>
__device__ Value bound_by_buckets(const Value* values, std::size_t count, unsigned k,
                                  Value* maxima) {
  Value mine = 0;
  for_share(values, count, [&](const Value(&read)[reads_ahead], std::size_t) {
#pragma unroll
    for (unsigned u = 0; u < reads_ahead; ++u)
      mine = max(mine, read[u]);
  });
  for (unsigned width = bucket_lanes / 2; width > 0; width /= 2)
    mine = max(mine, __shfl_xor_sync(select_all_lanes, mine, width));
  const unsigned buckets = blockDim.x / bucket_lanes;
  if (threadIdx.x % bucket_lanes == 0) maxima[threadIdx.x / bucket_lanes] = mine;
  __syncthreads();
  if (threadIdx.x < buckets) {
    const Value own = maxima[threadIdx.x];
    unsigned rank = 0;
#pragma unroll 8
    for (unsigned other = 0; other < buckets; ++other)
      rank += maxima[other] > own || (maxima[other] == own && other < threadIdx.x);
    if (rank == k - 1) maxima[buckets] = own;
  }
  __syncthreads();
  return maxima[buckets];
}

/// A few registers of each thread are buckets: exact for up to 8 x blockDim.x values.
template <class Value>
__device__ Value bound_by_registers(const Value* values, std::size_t count, unsigned k,
                                    block_counter& counter) {
  constexpr unsigned slots = reads_ahead;
  Value greatest[slots] = {};
  for_share(values, count, [&](const Value(&read)[reads_ahead], std::size_t) {
#pragma unroll
    for (unsigned s = 0; s < slots; ++s)
      greatest[s] = max(greatest[s], read[s]);
  });
  const auto used =
      static_cast<unsigned>(min(std::size_t{slots}, (count + blockDim.x - 1) / blockDim.x));
  return kth_greatest<Value>(k, counter, [&](Value v) {
    unsigned reached = 0;
#pragma unroll
    for (unsigned s = 0; s < slots; ++s)
      if (s < used) reached += lanes_where(greatest[s] >= v);
    return reached;
  });
}

/// Exact, and reads all values for every bit.
template <class Value>
__device__ Value bound_by_memory(const Value* values, std::size_t count, unsigned k,
                                 block_counter& counter) {
  return kth_greatest<Value>(k, counter, [&](Value v) {
    unsigned reached = 0;
    for_share(values, count, [&](const Value(&read)[reads_ahead], std::size_t) {
#pragma unroll
      for (unsigned u = 0; u < reads_ahead; ++u)
        reached += lanes_where(read[u] >= v);
    });
    return reached;
  });
}

/// Calls `emit(slot, index)` for every value that reaches `cut`, slots 0, 1, 2, ... in no
/// particular order; cut > 0. `*taken` in shared memory starts at 0 and ends as their number.
template <class Value, class Emit>
__device__ void collect(const Value* values, std::size_t count, Value cut, unsigned* taken,
                        Emit&& emit) {
  const unsigned lane = threadIdx.x % select_warp;
  for_share(values, count, [&](const Value(&read)[reads_ahead], std::size_t base) {
    bool any = false;
#pragma unroll
    for (unsigned u = 0; u < reads_ahead; ++u)
      any = any || read[u] >= cut;
    if (!__any_sync(select_all_lanes, any)) return;
#pragma unroll
    for (unsigned u = 0; u < reads_ahead; ++u) {
      const unsigned mask = __ballot_sync(select_all_lanes, read[u] >= cut);
      if (mask == 0) continue;
      unsigned first = 0;
      if (lane == 0) first = atomicAdd(taken, __popc(mask));
      first = __shfl_sync(select_all_lanes, first, 0);
      if (read[u] >= cut)
        emit(first + __popc(mask & ((1u << lane) - 1u)),
             base + std::size_t{u} * blockDim.x + threadIdx.x);
    }
  });
}

/// Shared memory that choosing works in.
template <class Value>
struct select_memory {
  Value maxima[most_threads / bucket_lanes + 1];
  unsigned counters[3];
  unsigned taken;
};

/// Calls `emit(slot, index)` for the k greatest values and those that `lowered(k-th greatest)`
/// lets in as well. Emits slots below `room` only, perhaps several times over, the last time
/// rightly; returns how many there are, which is more than `room` only if so many are let in. k
/// distinct values with nothing let in always fit into room >= k.
template <class Value, class Lowered, class Emit>
__device__ unsigned choose(const Value* values, std::size_t count, unsigned k, unsigned room,
                           select_memory<Value>& memory, block_counter& counter, Lowered&& lowered,
                           Emit&& emit) {
  const unsigned buckets = blockDim.x / bucket_lanes;
  for (unsigned attempt = 2 * k <= buckets ? 0 : 1;; ++attempt) {
    Value bound;
    if (attempt == 0)
      bound = bound_by_buckets(values, count, k, memory.maxima);
    else if (attempt == 1)
      bound = bound_by_registers(values, count, k, counter);
    else
      bound = bound_by_memory(values, count, k, counter);
    if (threadIdx.x == 0) memory.taken = 0;
    __syncthreads();
    collect(values, count, max(lowered(bound), Value{1}), &memory.taken,
            [&](unsigned slot, std::size_t index) {
              if (slot < room) emit(slot, index);
            });
    __syncthreads();
    const unsigned taken = memory.taken;
    __syncthreads();
    if (taken <= room || attempt == 2) return taken;
  }
}

/// Returns what `ordered` makes of the score below `bound` by `margin`; 0 for 0.
__device__ inline std::uint32_t lower(std::uint32_t bound, float margin) {
  return bound == 0 ? 0 : ordered(__fsub_rd(from_ordered(bound), margin));
}

// -- putting keys in order --

/// Sorts keys[0, size) descending; size is a power of two. Comparators of a stride up to a warp's
/// lanes touch only the 64 keys of their own warp, so that a barrier of the warp suffices there.
__device__ inline void sort_descending(std::uint64_t* keys, unsigned size) {
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
      if (stride > select_warp || next > select_warp)
        __syncthreads();
      else
        __syncwarp();
    }
  __syncthreads();
}

/// Returns how many of keys[0, count), in shared memory, 16-byte aligned, are greater than `own`.
__device__ inline unsigned count_greater(const std::uint64_t* keys, unsigned count,
                                         std::uint64_t own) {
  const auto* pairs = reinterpret_cast<const ulonglong2*>(keys);
  unsigned rank = 0;
#pragma unroll 4
  for (unsigned p = 0; p < count / 2; ++p) {
    const ulonglong2 pair = pairs[p];
    rank += (pair.x > own) + (pair.y > own);
  }
  return rank + (count % 2 && keys[count - 1] > own);
}

/// Writes the best `wanted` of keys[0, count) to `out`, best first; `*answers` gets their number.
/// Keys that are 0 are left out. `keys` is shared memory with room up to the next power of two and
/// is written over. Every thread calls it.
__device__ inline void write_best(std::uint64_t* keys, unsigned count, unsigned wanted,
                                  block_counter& counter, hit* out, std::uint32_t* answers) {
  constexpr unsigned few = 512; // up to here it is faster to count who is greater
  unsigned real = 0;
  for (unsigned base = 0; base < count; base += blockDim.x)
    real += lanes_where(base + threadIdx.x < count && keys[base + threadIdx.x] != 0);
  real = counter.sum(real);
  const unsigned written = min(wanted, real);
  if (count <= few) {
    for (unsigned i = threadIdx.x; i < count; i += blockDim.x) {
      const std::uint64_t own = keys[i];
      if (own == 0) continue;
      const unsigned rank = count_greater(keys, count, own);
      if (rank < written) out[rank] = hit_of(own);
    }
  } else {
    unsigned size = 2;
    while (size < count)
      size *= 2;
    for (unsigned i = count + threadIdx.x; i < size; i += blockDim.x)
      keys[i] = 0;
    sort_descending(keys, size);
    for (unsigned i = threadIdx.x; i < written; i += blockDim.x)
      out[i] = hit_of(keys[i]);
  }
  if (threadIdx.x == 0) *answers = written;
}

} // namespace engram::cuda
