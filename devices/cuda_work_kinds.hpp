#pragma once

/// What the kinds of cuda_work share. For cuda_*_work.cpp alone.

#include "engram/devices/cuda_work.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace engram {

/// Hands out offsets at 256-byte boundaries.
class lane_layout {
public:
  template <class T>
  std::size_t take(std::size_t count) noexcept {
    constexpr std::size_t alignment = 256;
    const auto at = bytes_;
    bytes_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
    return at;
  }
  std::size_t bytes() const noexcept { return bytes_; }

private:
  std::size_t bytes_ = 0;
};

template <class T>
T* at(std::byte* base, std::size_t offset) noexcept {
  return reinterpret_cast<T*>(base + offset);
}
template <class T>
const T* at(const std::byte* base, std::size_t offset) noexcept {
  return reinterpret_cast<const T*>(base + offset);
}

/// One query, target, id or seed set: the `index`-th of its payload.
struct work_unit {
  const work_payload* payload = nullptr;
  std::size_t index = 0;
};

inline std::vector<work_unit> flatten(const std::vector<work_item>& items) {
  std::vector<work_unit> units;
  for (const auto& item : items)
    for (std::size_t i = 0; i < item.count; ++i)
      units.push_back({item.payload.get(), item.first + i});
  return units;
}

/// Writes a vector [dim] and zeros up to `stride`.
inline void write_row(float* to, const float* row, std::size_t dim, std::size_t stride) noexcept {
  std::memcpy(to, row, dim * sizeof(float));
  std::fill(to + dim, to + stride, 0.0f);
}

/// Returns rows [count, dim] if they lie in pinned memory one after the other as the device wants
/// them, and are enough to be worth a copy of their own; else nothing. `row(i)` returns the i-th.
template <class Row>
std::span<const std::byte> placed_rows(const pinned_regions& pinned, std::size_t count,
                                       std::size_t dim, std::size_t stride, Row&& row) {
  constexpr std::size_t least_bytes = 32u << 10; // less is brought along by the kernel of the rest
  if (dim != stride || count * dim * sizeof(float) <= least_bytes) return {};
  const float* first = row(0);
  const auto bytes = std::as_bytes(std::span{first, count * dim});
  if (!pinned.contain(bytes)) return {};
  for (std::size_t i = 1; i < count; ++i)
    if (row(i) != first + i * dim) return {};
  return bytes;
}

/// Returns the most units, at most `limit`, for which `fits(units)` is true, found by halving.
template <class Fits>
std::size_t most_that_fit(std::size_t limit, Fits&& fits) {
  while (limit > 0 && !fits(limit))
    limit /= 2;
  return limit;
}

using resident_ptr = std::shared_ptr<const cuda_dataset>;

std::unique_ptr<cuda_work> make_cuda_search(const work_batch& batch, resident_ptr resident,
                                            bool has_filter, const pinned_regions& pinned);
std::unique_ptr<cuda_work> make_cuda_score(const work_batch& batch, resident_ptr resident);
std::unique_ptr<cuda_work> make_cuda_similarity(const work_batch& batch,
                                                const pinned_regions& pinned);
std::unique_ptr<cuda_work> make_cuda_spread(const work_batch& batch, resident_ptr resident);

} // namespace engram
