#pragma once

#include "engram/base/ids.hpp"
#include "engram/kernels/rows.hpp"
#include "engram/kernels/spread.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace engram::bench {

/// The work of one case: batches of one request.
struct work_shape {
  operation op = operation::search;
  std::size_t rows = 0; ///< resident vectors or nodes; 0 for similarity
  std::size_t dim = 768;
  element_type type = element_type::f32;
  std::size_t items = 1; ///< queries, targets, ids or seed sets
  std::uint32_t k = 10;
  std::size_t seeds = 8; ///< of each seed set
  spread_options spread = {};
};

enum class case_kind : std::uint8_t {
  compare,          ///< a batch on the CPU and on the GPU
  hop,              ///< one spreading hop on the GPU, the frontier dense
  pipeline_latency, ///< requests through the pipeline, one at a time
  pipeline_flood    ///< requests through the pipeline, many at a time
};

struct bench_case {
  std::string name;   ///< "search/1000000x768/bf16/q64"
  std::string family; ///< "search"
  std::string title;
  std::string unit; ///< what `size` counts in a sweep; empty outside one
  std::uint64_t size = 0;
  case_kind kind = case_kind::compare;
  work_shape work = {};
  bool large = false; ///< gigabytes of data: runs with --full or when a filter names it
};

/// Returns all cases; those that share a dataset follow each other within a family.
std::vector<bench_case> all_cases();

} // namespace engram::bench
