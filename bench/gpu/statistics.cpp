#include "engram/bench/gpu/statistics.hpp"

#include <algorithm>
#include <cmath>

namespace engram::bench {

double quantile(std::span<const double> values, double share) {
  if (values.empty()) return 0;
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const auto above = std::min(below + 1, sorted.size() - 1);
  const double weight = place - static_cast<double>(below);
  return sorted[below] * (1 - weight) + sorted[above] * weight;
}

std::vector<double> block_medians(std::span<const double> values, std::size_t blocks) {
  blocks = std::min(blocks, values.size());
  std::vector<double> medians;
  for (std::size_t b = 0; b < blocks; ++b) {
    const auto first = values.size() * b / blocks;
    const auto last = values.size() * (b + 1) / blocks;
    medians.push_back(median(values.subspan(first, last - first)));
  }
  return medians;
}

} // namespace engram::bench
