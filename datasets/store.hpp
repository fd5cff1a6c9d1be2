#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Datasets on disk: DIRECTORY/NAME/vNNNNNN/ with a manifest.json (kind, shape, type, sizes and
/// checksum of each file) and the files it lists. A version is written to a temporary folder and
/// renamed into place, so that a reader sees all of it or nothing. Several processes may read while
/// one writes.
class dataset_store {
public:
  explicit dataset_store(std::filesystem::path directory);

  const std::filesystem::path& directory() const noexcept { return directory_; }

  /// What `list` and `describe` tell without loading the data.
  struct summary {
    std::string name;
    std::uint64_t version = 0;
    bool is_graph = false;
    std::uint64_t rows = 0;   ///< vectors or nodes
    std::uint64_t dim = 0;    ///< 0 for a graph
    std::uint64_t edges = 0;  ///< 0 for a collection
    std::string element_type; ///< "f32", "f16", "bf16"; empty for a graph
    bool has_labels = false;
    bool has_embedder = false;
    std::uint64_t bytes = 0; ///< on disk
    std::filesystem::path path;
  };

  /// Writes the next version of `name` and returns its summary. `resource_exhausted` when the disk
  /// is full; nothing is left behind then.
  result<summary> save(std::string_view name,
                       const std::variant<collection_ptr, graph_ptr>& content);
  /// Loads a version (0: the newest). `not_found`; `invalid_argument` for a damaged one, naming the
  /// file.
  result<std::variant<collection_ptr, graph_ptr>> load(std::string_view name,
                                                       std::uint64_t version = 0) const;
  result<summary> describe(std::string_view name, std::uint64_t version = 0) const;
  /// Returns the names of all datasets in ascending order: every folder that has versions, also
  /// damaged ones.
  std::vector<std::string> names() const;
  /// Returns the newest version of every dataset, by name; leaves out those that `describe`
  /// refuses.
  std::vector<summary> list() const;
  /// Reads everything and checks sizes, checksums and content (finite values, edges in range).
  /// Needs the memory that `load` needs.
  result<summary> verify(std::string_view name, std::uint64_t version = 0) const;

private:
  std::filesystem::path directory_;
};

} // namespace engram
