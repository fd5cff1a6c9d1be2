#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace engram::bench {

/// How long both devices took for one size of a sweep.
struct sweep_point {
  std::uint64_t size = 0;
  double cpu_seconds = 0;
  double gpu_seconds = 0;
};

/// Where the GPU begins to be faster.
struct break_even {
  enum class kind : std::uint8_t {
    unknown, ///< fewer than two sizes were measured
    at,      ///< at `size`, between two measured sizes
    always,  ///< already at `size`, the smallest measured one
    never    ///< not even at `size`, the largest measured one
  };
  kind what = kind::unknown;
  std::uint64_t size = 0;

  friend bool operator==(const break_even&, const break_even&) = default;
};

/// Returns the smallest size from which on the GPU is faster at every measured size, taking
/// cpu/gpu to change by a power of the size between neighbours. Ascending sizes, positive times.
break_even find_break_even(std::span<const sweep_point> sweep);

} // namespace engram::bench
