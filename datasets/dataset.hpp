#pragma once

#include "engram/datasets/activation_graph.hpp"
#include "engram/datasets/vector_collection.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

namespace engram {

using collection_ptr = std::shared_ptr<const vector_collection>;
using graph_ptr = std::shared_ptr<const activation_graph>;

/// One version of a dataset: immutable, shared by everything that works on it, freed with its
/// last user. Thread-safe.
struct dataset {
  std::string name;
  std::uint64_t version = 1; ///< ascending from 1 for each name
  std::variant<collection_ptr, graph_ptr> content;
  /// Number of this version in the process; never used twice. What devices and batch keys go by.
  std::uint64_t key = 0;

  /// Returns the collection, or nullptr if this is a graph.
  const vector_collection* collection() const noexcept {
    const auto* held = std::get_if<collection_ptr>(&content);
    return held ? held->get() : nullptr;
  }
  /// Returns the graph, or nullptr if this is a collection.
  const activation_graph* graph() const noexcept {
    const auto* held = std::get_if<graph_ptr>(&content);
    return held ? held->get() : nullptr;
  }
  /// Returns the memory that a device needs to hold it.
  std::uint64_t resident_bytes() const noexcept {
    if (const auto* c = collection()) return c->resident_bytes();
    return graph()->resident_bytes();
  }
};

using dataset_ptr = std::shared_ptr<const dataset>;

} // namespace engram
