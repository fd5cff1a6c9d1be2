#pragma once

#include "engram/base/error.hpp"
#include "engram/bench/gpu/bench_case.hpp"
#include "engram/devices/work.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace engram::bench {

/// Returns the dataset that `shape` works on; null for similarity. Keeps the last one that it made,
/// because neighbouring cases share it. Not thread-safe.
class dataset_shelf {
public:
  result<dataset_ptr> get(const work_shape& shape);

private:
  work_shape held_shape_;
  dataset_ptr held_;
  std::uint64_t next_key_ = 1;
};

/// Returns `count` batches of `shape` that differ in their random inputs, so that no cache knows
/// the next one; fewer if they would fill more than 256 MB.
std::vector<work_batch_ptr> make_batches(const work_shape& shape, const dataset_ptr& data,
                                         std::size_t count);

/// Returns the payload of such a batch.
std::shared_ptr<work_payload> make_payload(const work_shape& shape, const dataset_ptr& data,
                                           std::uint64_t seed);

} // namespace engram::bench
