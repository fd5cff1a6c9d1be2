#include "engram/bench/gpu/break_even.hpp"

#include <algorithm>
#include <cmath>

namespace engram::bench {

namespace {

bool gpu_wins(const sweep_point& p) {
  return p.gpu_seconds < p.cpu_seconds;
}

/// Returns where the straight line through both points, in logarithms, crosses cpu = gpu.
std::uint64_t crossing(const sweep_point& loses, const sweep_point& wins) {
  const double before = std::log(loses.cpu_seconds / loses.gpu_seconds); // <= 0
  const double after = std::log(wins.cpu_seconds / wins.gpu_seconds);    // > 0
  const double low = std::log(static_cast<double>(loses.size));
  const double high = std::log(static_cast<double>(wins.size));
  const double size = std::exp(low + (high - low) * -before / (after - before));
  return std::clamp(static_cast<std::uint64_t>(std::ceil(size * (1 - 1e-9))), loses.size,
                    wins.size);
}

} // namespace

break_even find_break_even(std::span<const sweep_point> sweep) {
  using kind = break_even::kind;
  if (sweep.size() < 2) return {};
  if (!gpu_wins(sweep.back())) return {kind::never, sweep.back().size};
  std::size_t first = sweep.size() - 1;
  while (first > 0 && gpu_wins(sweep[first - 1]))
    --first;
  if (first == 0) return {kind::always, sweep.front().size};
  return {kind::at, crossing(sweep[first - 1], sweep[first])};
}

} // namespace engram::bench
