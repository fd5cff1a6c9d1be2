#pragma once

#include <cstdint>
#include <vector>

namespace engram {

/// Counts durations in log-linear buckets, each at most 1/64 (1.6 %) wide, from 1 ns to 18 minutes;
/// longer ones count as the longest. Recording takes a few nanoseconds and allocates nothing.
/// Not thread-safe; histograms of several threads are merged.
class latency_histogram {
public:
  latency_histogram();

  void record(std::uint64_t nanoseconds, std::uint64_t count = 1) noexcept;
  void merge(const latency_histogram& other) noexcept;
  void reset() noexcept;

  std::uint64_t count() const noexcept { return count_; }
  /// Returns 0 while empty.
  std::uint64_t min() const noexcept { return count_ ? min_ : 0; }
  std::uint64_t max() const noexcept { return max_; }
  double mean() const noexcept { return count_ ? sum_ / static_cast<double>(count_) : 0.0; }
  /// Returns the smallest bucket bound below or at which `share` (in [0, 1]) of the values lie, in
  /// nanoseconds and never above `max`; 0 while empty.
  std::uint64_t quantile(double share) const noexcept;

  /// Calls `f(upper_bound_nanoseconds, count)` for each non-empty bucket in ascending order.
  template <class F>
  void for_each_bucket(F&& f) const {
    for (std::size_t i = 0; i < buckets_.size(); ++i)
      if (buckets_[i] != 0) f(upper_bound(i), buckets_[i]);
  }

private:
  static std::size_t index_of(std::uint64_t nanoseconds) noexcept;
  static std::uint64_t upper_bound(std::size_t index) noexcept;

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
  double sum_ = 0.0;
};

} // namespace engram
