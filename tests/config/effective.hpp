#pragma once

#include "engram/config/load.hpp"

#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace engram {

/// Key -> value as TOML text.
using values_by_key = std::map<std::string, std::string>;

/// Returns every key's value.
inline values_by_key all_values(const options& from) {
  values_by_key all;
  for (const auto& each : all_keys())
    all[each.key] = value_of(from, each.key);
  return all;
}

/// Returns the values that are not the default.
inline values_by_key changed_values(const options& from) {
  values_by_key changed;
  for (const auto& each : all_keys())
    if (const auto value = value_of(from, each.key); value != each.default_value)
      changed[each.key] = value;
  return changed;
}

/// Returns a file's contents; "" when it cannot be read.
inline std::string contents_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream{path}.rdbuf();
  return out.str();
}

} // namespace engram
