#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace engram::replay {

/// Mixes two numbers into one that looks random (splitmix64): seeds for independent streams.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  auto z = a + 0x9e3779b97f4a7c15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// A stream of random numbers that is the same everywhere for one seed, which the distributions of
/// the standard library are not.
class random_stream {
public:
  explicit random_stream(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept { return mix(state_, counter_++); }
  /// Returns a number in [0, 1).
  double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  /// Returns an integer in [lowest, highest].
  std::uint64_t between(std::uint64_t lowest, std::uint64_t highest) noexcept {
    return lowest + next() % (highest - lowest + 1);
  }
  /// Returns a waiting time of mean 1.
  double exponential() noexcept { return -std::log1p(-uniform()); }
  /// Returns a number of the standard normal distribution.
  double normal() noexcept {
    const auto radius = std::sqrt(2.0 * exponential());
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
  }

private:
  std::uint64_t state_;
  std::uint64_t counter_ = 0;
};

} // namespace engram::replay
