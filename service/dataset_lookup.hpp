#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace engram {

/// A name belongs to one dataset. Where one import makes a collection and a graph, as WordNet's
/// does, the graph has the collection's name and this; asking for the graph NAME finds NAME-graph
/// then.
inline constexpr std::string_view graph_suffix = "-graph";

/// Returns the resident collection `name`. `not_found` lists what there is; `invalid_argument` for
/// a graph.
result<dataset_ptr> find_collection(const pipeline& pipe, std::string_view name);
/// Returns the resident graph `name` or, failing that, `name` + graph_suffix. Errors as above.
result<dataset_ptr> find_graph(const pipeline& pipe, std::string_view name);

/// Returns the vector that the collection's own embedder makes of `text`. `invalid_argument` if it
/// has none or knows no word of it. `data` is a collection.
result<std::vector<float>> embed_text(const dataset& data, std::string_view text);

/// Returns the label of a row or node, empty if there is none; `data` may be null.
std::string_view label_of(const dataset* data, std::uint32_t id);

/// Returns how long `milliseconds` are as a request's deadline. `invalid_argument` unless above 0
/// and at most an hour.
result<duration> deadline_of_ms(double milliseconds);

/// Finds the node that a word means. A label is one or more names separated by ", "; a node whose
/// first name is the word goes before one that has it further back, then the one with more
/// edges, then the lower number. Case does not matter and '_' is a blank. Built once, immutable.
class label_index {
public:
  explicit label_index(const activation_graph& graph);
  std::optional<node_id> find(std::string_view label) const;

private:
  struct candidate {
    node_id node = 0;
    bool is_first_name = false;
    std::uint64_t edges = 0;
  };
  static bool is_better(const candidate& a, const candidate& b) noexcept;

  std::unordered_map<std::string, candidate> by_name_;
};

/// Keeps one label_index for each version of a graph that was asked for, as long as that
/// version lives. Thread-safe.
class label_finder {
public:
  /// Returns the node of `data` that `label` means. `not_found` for an unknown label,
  /// `invalid_argument` when the graph has none. `data` is a graph.
  result<node_id> find(const dataset_ptr& data, std::string_view label);

private:
  struct entry {
    std::weak_ptr<const dataset> data;
    std::shared_ptr<const label_index> index;
  };
  std::shared_ptr<const label_index> index_of(const dataset_ptr& data);

  std::mutex mutex_;
  std::map<std::uint64_t, entry> entries_; ///< by dataset::key
};

} // namespace engram
