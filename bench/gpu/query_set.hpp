#pragma once

#include "engram/datasets/dataset.hpp"
#include "engram/devices/work.hpp"
#include "engram/replay/request_pool.hpp"
#include "engram/replay/scenario.hpp"

#include <cstdint>
#include <vector>

namespace engram::bench {

/// What a steady load sends, and the right answers to the bit.
class query_set {
public:
  /// Makes `distinct` searches for the `k` nearest rows of `data`, each of one query near a row,
  /// and computes their answers with the scalar reference on all cores.
  static result<query_set> make(const dataset_ptr& data, std::uint32_t distinct, std::uint32_t k,
                                std::uint64_t seed);

  const replay::request_pool& pool() const noexcept { return pool_; }
  const item_output& expected(std::uint32_t variant) const { return expected_[variant]; }
  /// Returns a scenario that sends them at Poisson times, `rate` a second, for hours.
  replay::scenario steady(double rate) const;

private:
  query_set(replay::scenario what, replay::request_pool pool)
      : what_(std::move(what)), pool_(std::move(pool)) {}

  replay::scenario what_;
  replay::request_pool pool_;
  std::vector<item_output> expected_;
};

} // namespace engram::bench
