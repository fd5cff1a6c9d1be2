#pragma once

#include "engram/base/error.hpp"
#include "engram/bench/gpu/record.hpp"

#include <filesystem>
#include <string>

namespace engram::bench {

/// Returns where saved runs lie if nobody says otherwise: $XDG_STATE_HOME/engram/baselines, or
/// .engram-baselines here where that variable is not set.
std::filesystem::path default_baseline_directory();

/// Saved runs, one file a name. A name has letters, digits, '.', '_' and '-' and does not begin
/// with
/// '.'; another one is `invalid_argument`.
class baseline_store {
public:
  explicit baseline_store(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// Returns the file of that name, there or not.
  result<std::filesystem::path> path_of(const std::string& name) const;
  /// Replaces an older one of that name, whole or not at all. `unavailable`: the file cannot be
  /// written.
  result<void> save(const std::string& name, const run_record& run) const;
  /// `not_found` lists the names there are; `invalid_argument` says what is wrong with the file.
  result<run_record> load(const std::string& name) const;

private:
  std::string known_names() const;

  std::filesystem::path directory_;
};

} // namespace engram::bench
