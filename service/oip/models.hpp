#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// The most queries, seed sets or similarity queries that one inference may hold.
inline constexpr std::int32_t max_model_batch = 4096;

inline constexpr std::string_view search_prefix = "search.";
inline constexpr std::string_view spread_prefix = "spread.";
inline constexpr std::string_view similarity_model = "similarity";
/// What the protocol calls the platform and the backend of every model.
inline constexpr std::string_view oip_platform = "engram";

/// A tensor of a model. `dims` leave out the batch, which every tensor has as its first dimension;
/// -1 is any size.
struct tensor_spec {
  std::string name;
  std::string_view datatype;
  std::vector<std::int64_t> dims;
  bool is_optional = false;
};

/// An operation on a resident dataset, as the Open Inference Protocol names it: `search.NAME` for
/// a collection, `spread.NAME` for a graph, and `similarity`, which has no dataset.
struct served_model {
  std::string name;
  operation op = operation::search;
  dataset_ptr data; ///< null for similarity
  std::vector<tensor_spec> inputs, outputs;

  /// Returns the dataset's version; similarity's is 1.
  std::uint64_t version() const noexcept { return data ? data->version : 1; }
};

/// Returns every model that there is now, in the order of the datasets' names.
std::vector<served_model> models_of(const pipeline& pipe);

/// Returns the model `name`. `not_found` if there is none, or if `version` is neither empty nor the
/// current version, which is the only one that is served.
result<served_model> find_model(const pipeline& pipe, std::string_view name,
                                std::string_view version);
/// Returns the model `name`, or all for an empty name. Errors as above.
result<std::vector<served_model>> models_named(const pipeline& pipe, std::string_view name,
                                               std::string_view version);

} // namespace engram
