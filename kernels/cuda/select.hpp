#pragma once

/// Choosing the best of many on the GPU. What is ranked is a key: the score's bits, made to order
/// like unsigned integers, above the complement of the id. Keys of different ids differ, and the
/// greater key is the better hit (score descending, id ascending). 0 is no key.

#include "engram/kernels/top_k.hpp"

#include <cuda_runtime_api.h>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace engram::cuda {

#ifdef __CUDACC__
#define ENGRAM_HOST_DEVICE __host__ __device__
#else
#define ENGRAM_HOST_DEVICE
#endif

/// Returns an integer that orders like `value`, which is not a NaN.
ENGRAM_HOST_DEVICE inline std::uint32_t ordered(float value) {
#ifdef __CUDA_ARCH__
  const std::uint32_t bits = __float_as_uint(value);
#else
  const auto bits = std::bit_cast<std::uint32_t>(value);
#endif
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

/// Returns the float that `ordered` made `order` of.
ENGRAM_HOST_DEVICE inline float from_ordered(std::uint32_t order) {
  const std::uint32_t bits = order & 0x80000000u ? order & 0x7fffffffu : ~order;
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

ENGRAM_HOST_DEVICE inline std::uint64_t key_of(float score, std::uint32_t id) {
  return std::uint64_t{ordered(score)} << 32 | static_cast<std::uint32_t>(~id);
}
ENGRAM_HOST_DEVICE inline hit hit_of(std::uint64_t key) {
  return {~static_cast<std::uint32_t>(key), from_ordered(static_cast<std::uint32_t>(key >> 32))};
}

/// A list too long for its room, or one that could not be made: its count is this.
inline constexpr std::uint32_t overflowed = 0xffffffffu;

/// The most that `take_best` returns of a list.
inline constexpr std::uint32_t max_take = 2048;

/// All pointers below are device memory (outputs may be mapped host memory). Nothing is allocated
/// and nothing waits; the cudaError_t of the launch is returned.

/// For each list, enqueues picking the groups that can hold one of its best k, given the greatest
/// key of each group: maxima [lists, groups], k [lists], picked [lists, cap] in no particular
/// order, picked_counts [lists]. Groups without a key (0) are never picked. Picks min(k, groups)
/// groups or a few more, at most `cap`, which must be min(k, groups) at least.
cudaError_t pick_groups(const std::uint64_t* maxima, std::size_t lists, std::size_t groups,
                        const std::uint32_t* k, std::uint32_t cap, std::uint32_t* picked,
                        std::uint32_t* picked_counts, cudaStream_t stream) noexcept;

/// The same where a group's greatest score is known only to within a margin: maxima [lists, groups]
/// are `ordered` scores, each off by less than half of margin[list]. Every group whose greatest
/// score could be among the best k is picked; if they are more than `cap`, the count is
/// `overflowed`.
cudaError_t pick_groups_within(const std::uint32_t* maxima, std::size_t lists, std::size_t groups,
                               const std::uint32_t* k, const float* margin, std::uint32_t cap,
                               std::uint32_t* picked, std::uint32_t* picked_counts,
                               cudaStream_t stream) noexcept;

/// For each list, enqueues sorting out its best min(k, max_take) keys, best first:
/// keys [lists, stride], of which counts[list] are looked at, out [lists, out_stride], out_counts
/// [lists]. Keys that are 0 are left out. A count of `overflowed` is passed on.
cudaError_t take_best(const std::uint64_t* keys, std::size_t lists, std::size_t stride,
                      const std::uint32_t* counts, const std::uint32_t* k, hit* out,
                      std::size_t out_stride, std::uint32_t* out_counts,
                      cudaStream_t stream) noexcept;

} // namespace engram::cuda
