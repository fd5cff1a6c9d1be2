#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>

namespace engram::simulation {

/// Chance that means the same for a seed on every machine: the standard fixes the numbers of the
/// engine, but not those of its distributions.
class dice {
public:
  explicit dice(std::uint64_t seed) : random_(seed) {}

  /// Returns a number in [least, most].
  std::size_t pick(std::size_t least, std::size_t most) {
    return least + random_() % (most - least + 1);
  }
  bool chance(double p) { return static_cast<double>(random_() >> 11) < p * 9007199254740992.0; }
  template <class T>
  T one_of(std::initializer_list<T> all) {
    return *(all.begin() + pick(0, all.size() - 1));
  }
  std::uint64_t seed() { return random_(); }

private:
  std::mt19937_64 random_;
};

} // namespace engram::simulation
