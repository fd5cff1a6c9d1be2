#include "engram/base/latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace engram {

namespace {

// Values below 128 have a bucket each; above, every power of two is cut into 64.
constexpr unsigned sub_bits = 6;
constexpr std::uint64_t sub_count = std::uint64_t{1} << sub_bits;
constexpr std::uint64_t linear_end = 2 * sub_count;
constexpr unsigned max_exponent = 40; // 2^40 ns = 18 minutes
constexpr std::uint64_t max_value = (std::uint64_t{1} << max_exponent) - 1;
constexpr std::size_t bucket_count = linear_end + (max_exponent - sub_bits - 1) * sub_count;

} // namespace

latency_histogram::latency_histogram() : buckets_(bucket_count, 0) {}

std::size_t latency_histogram::index_of(std::uint64_t nanoseconds) noexcept {
  const auto value = std::min(nanoseconds, max_value);
  if (value < linear_end) return value;
  const auto exponent = static_cast<unsigned>(std::bit_width(value)) - 1; // >= sub_bits + 1
  const auto shift = exponent - sub_bits;
  const auto sub = (value >> shift) - sub_count; // [0, sub_count)
  return linear_end + (exponent - sub_bits - 1) * sub_count + sub;
}

std::uint64_t latency_histogram::upper_bound(std::size_t index) noexcept {
  if (index < linear_end) return index;
  const auto above = index - linear_end;
  const auto shift = above / sub_count + 1;
  const auto sub = above % sub_count;
  return ((sub_count + sub + 1) << shift) - 1;
}

void latency_histogram::record(std::uint64_t nanoseconds, std::uint64_t count) noexcept {
  buckets_[index_of(nanoseconds)] += count;
  count_ += count;
  min_ = std::min(min_, nanoseconds);
  max_ = std::max(max_, nanoseconds);
  sum_ += static_cast<double>(nanoseconds) * static_cast<double>(count);
}

void latency_histogram::merge(const latency_histogram& other) noexcept {
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

void latency_histogram::reset() noexcept {
  std::fill(buckets_.begin(), buckets_.end(), 0);
  count_ = 0;
  min_ = ~std::uint64_t{0};
  max_ = 0;
  sum_ = 0.0;
}

std::uint64_t latency_histogram::quantile(double share) const noexcept {
  if (count_ == 0) return 0;
  const auto clamped = std::clamp(share, 0.0, 1.0);
  const auto wanted = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(std::ceil(clamped * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted) return std::min(upper_bound(i), max_);
  }
  return max_;
}

} // namespace engram
