#include "engram/app/stored_datasets.hpp"

#include "engram/app/table.hpp"
#include "engram/service/dataset_lookup.hpp"

#include <charconv>
#include <utility>

namespace engram {

result<dataset_reference> parse_dataset_reference(std::string_view text) {
  const auto at = text.find('@');
  dataset_reference out{std::string{text.substr(0, at)}, 0};
  if (at == std::string_view::npos) return out;
  const auto digits = text.substr(at + 1);
  const char* end = digits.data() + digits.size();
  const auto read = std::from_chars(digits.data(), end, out.version);
  if (read.ec != std::errc{} || read.ptr != end || out.version == 0)
    return error{ec::invalid_argument,
                 "\"" + std::string{text} + "\" has no version after the @: write NAME or NAME@3"};
  return out;
}

error cannot_load(const dataset_reference& which, const error& why) {
  return {why.code, "dataset \"" + which.name + "\" cannot be loaded: " + why.message};
}

result<dataset_ptr> publish_stored(pipeline& pipe, const dataset_store& store,
                                   const dataset_reference& which) {
  auto content = store.load(which.name, which.version);
  if (!content) return content.error();
  return pipe.publish(which.name, std::move(*content));
}

result<dataset_reference> stored_graph(const dataset_store& store, const dataset_reference& which) {
  const auto named = store.describe(which.name, which.version);
  if (!named) return named.error();
  if (named->is_graph) return which;
  dataset_reference beside{which.name + std::string{graph_suffix}, 0};
  if (const auto graph = store.describe(beside.name); graph && graph->is_graph) return beside;
  return error{ec::invalid_argument, "\"" + which.name +
                                         "\" is a vector collection and the store has no graph \"" +
                                         beside.name + "\": spread wants a graph"};
}

std::string shape_of(const dataset_store::summary& what) {
  if (what.is_graph)
    return human_count(what.rows) + " nodes, " + human_count(what.edges) + " edges";
  return human_count(what.rows) + " vectors of " + human_count(what.dim) + " (" +
         what.element_type + ")";
}

} // namespace engram
