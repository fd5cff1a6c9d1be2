#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/dataset.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace engram {

/// Success if `name` is 1 to 64 characters of letters, digits, '_', '-' and '.', starting with a
/// letter or digit; else `invalid_argument` that quotes it.
result<void> check_dataset_name(std::string_view name);

/// The datasets that are resident in this process, by name. A new version replaces the old one
/// atomically: whoever holds the old one keeps it until done. Thread-safe; `find` takes no lock
/// that a publisher holds while it works.
class catalog {
public:
  catalog();

  /// Makes `content` the current version of `name` and returns it. Versions ascend from 1. A name
  /// is 1 to 64 characters of letters, digits, '_', '-' and '.', starting with a letter or digit
  /// (`invalid_argument`). A collection may not replace a graph or the other way round
  /// (`invalid_argument`).
  result<dataset_ptr> publish(std::string name, std::variant<collection_ptr, graph_ptr> content);

  /// Returns the current version, or nullptr.
  dataset_ptr find(std::string_view name) const;
  /// Removes `name`; requests that hold it finish on it. Returns it, or `not_found`.
  result<dataset_ptr> drop(std::string_view name);
  /// Returns all current versions, by name.
  std::vector<dataset_ptr> list() const;

private:
  using map = std::map<std::string, dataset_ptr, std::less<>>;

  std::mutex publishing_;           ///< held by one publisher while it works; guards last_versions_
  mutable std::shared_mutex mutex_; ///< guards current_, held for a pointer copy
  std::shared_ptr<const map> current_;                              ///< replaced, never changed
  std::map<std::string, std::uint64_t, std::less<>> last_versions_; ///< also of dropped names
};

} // namespace engram
