#pragma once

#include "engram/base/error.hpp"
#include "engram/config/values.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace engram::config {

/// One key of a TOML file, or one table that is no section of ours.
struct toml_entry {
  std::string path;
  unsigned line = 0;
  bool is_table = false;
  written what;      ///< `monostate` for a table
  std::string shown; ///< the value as TOML text, for messages
};

/// Returns the entries in the order of their lines, or `invalid_argument` whose message begins with
/// "LINE: ". Knows which paths are sections, and nothing else about keys.
result<std::vector<toml_entry>> read_toml(std::string_view text);

} // namespace engram::config
