#pragma once

#include "engram/base/error.hpp"
#include "engram/config/load.hpp"
#include "engram/datasets/store.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace engram {

/// A dataset as a person names it: "wordnet" for the newest version, or "wordnet@3".
struct dataset_reference {
  std::string name;
  std::uint64_t version = 0; ///< 0: the newest
};

/// `invalid_argument` when what follows the '@' is no version.
result<dataset_reference> parse_dataset_reference(std::string_view text);

/// Returns `why` with the name of the dataset that it keeps from being loaded.
error cannot_load(const dataset_reference& which, const error& why);

/// Loads a dataset from the store and publishes it under its own name.
result<dataset_ptr> publish_stored(pipeline& pipe, const dataset_store& store,
                                   const dataset_reference& which);

/// Returns the graph that `which` means: itself, or where it is a collection the graph beside it.
/// `not_found`; `invalid_argument` for a collection without one.
result<dataset_reference> stored_graph(const dataset_store& store, const dataset_reference& which);

/// Returns "117,659 vectors of 768 (f32)" or "117,659 nodes, 285,000 edges".
std::string shape_of(const dataset_store::summary& what);

} // namespace engram
