#pragma once

#include <span>
#include <vector>

namespace engram::bench {

/// Returns the value below or at which `share` (0..1) of `values` lie, interpolated between
/// neighbours; 0 for no values.
double quantile(std::span<const double> values, double share);

inline double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

/// Cuts `values`, in the order they were taken, into up to `blocks` runs of nearly equal length and
/// returns the median of each.
std::vector<double> block_medians(std::span<const double> values, std::size_t blocks);

} // namespace engram::bench
