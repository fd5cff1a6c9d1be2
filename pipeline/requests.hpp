#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/ids.hpp"
#include "engram/kernels/spread.hpp"
#include "engram/pipeline/float_buffer.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace engram {

/// What every request may say about itself.
struct request_options {
  std::optional<duration>
      deadline;       ///< from now, at most an hour; without one admission.default_deadline_ms
  int priority = 0;   ///< -8..8; higher goes first among equal deadlines
  std::string tenant; ///< for the caller's own accounting
};

/// The k nearest rows of a resident collection for each query.
struct search_request {
  std::string collection;
  float_buffer queries; ///< [q, dim], row-major; at least one row
  std::uint32_t k = 10; ///< 1..2048
  request_options options;
};

/// How near these targets are to this query.
struct similarity_request {
  float_buffer query;   ///< [dim], dim 1..8192
  float_buffer targets; ///< [m, dim], row-major; at least one row
  request_options options;
};

/// How near the listed rows of a resident collection are to this query.
struct score_request {
  std::string collection;
  float_buffer query;      ///< [dim]
  std::vector<row_id> ids; ///< at least one
  request_options options;
};

/// Which nodes of a resident graph light up, for each seed set.
struct spread_request {
  std::string graph;
  std::vector<std::vector<seed>> seed_sets; ///< at least one, none empty
  spread_options spread;
  request_options options;
};

using request = std::variant<search_request, similarity_request, score_request, spread_request>;

} // namespace engram
