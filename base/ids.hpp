#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace engram {

/// Number of a request, unique in its pipeline.
using request_id = std::uint64_t;
/// Number of a batch, unique in its pipeline.
using batch_id = std::uint64_t;
/// Row of a vector collection.
using row_id = std::uint32_t;
/// Node of an activation graph.
using node_id = std::uint32_t;

/// What a request asks for.
enum class operation : std::uint8_t { search, similarity, score, spread, last_ = spread };

inline constexpr std::size_t operation_count = static_cast<std::size_t>(operation::last_) + 1;

/// Returns the name used in metrics, JSON and URLs.
constexpr std::string_view to_string(operation op) noexcept {
  switch (op) {
  case operation::search:
    return "search";
  case operation::similarity:
    return "similarity";
  case operation::score:
    return "score";
  case operation::spread:
    return "spread";
  }
  return "search";
}

} // namespace engram
