#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

/// Where to read a configuration from; the later wins: preset, file, environment, flags.
struct config_sources {
  std::string preset;                        ///< name of a preset, or empty
  std::optional<std::filesystem::path> file; ///< a TOML file
  /// ENGRAM_... variables; `environment_variables()` for those of this process. A variable that is
  /// no key, and none of the few that other parts of Engram read, is an error.
  std::vector<std::pair<std::string, std::string>> environment;
  /// Key and value. The key is dotted ("batching.max_wait_ms"), an alias, or its last part where
  /// only one key has it ("max_wait_ms"); `-` stands for `_`. Lists are separated by commas.
  std::vector<std::pair<std::string, std::string>> flags;
};

/// A configuration that passed every check, and where each value came from.
struct configuration {
  options values;
  /// Key -> "default", "preset NAME", "FILE:LINE", "environment ENGRAM_...", "flag --KEY".
  std::map<std::string, std::string> origins;
};

/// Returns the effective configuration, or `invalid_argument` whose message has one line for each
/// mistake in all sources: "FILE:LINE: KEY = VALUE is out of range: allowed 0..1000". A missing
/// file is `not_found`.
result<configuration> load_configuration(const config_sources& sources);

/// As above, from TOML text alone; `name` stands for the file in messages.
result<configuration> parse_configuration(std::string_view toml, std::string_view name);

/// Says what is wrong with values that were set in code, a line for each mistake; nothing when they
/// are usable.
std::optional<std::string> complaint(const options& values);
std::optional<std::string> complaint(const pipeline_options& values);

/// Returns this process's ENGRAM_... variables, sorted by name.
std::vector<std::pair<std::string, std::string>> environment_variables();

/// Returns the values as a commented TOML file that loads to the same values.
std::string to_toml(const configuration& effective);

/// Returns a TOML file to begin with: every key commented out at its default, with its meaning and
/// what it allows. deploy/engram.toml is this text.
std::string config_template();

/// A key as `engram config show --json`, the command line and the documentation know it.
struct key_info {
  std::string key;                  ///< "batching.max_wait_ms"
  std::string environment;          ///< "ENGRAM_MAX_WAIT_MS"
  std::vector<std::string> aliases; ///< with their section: "gpu.min_batch_size"
  std::string type;                 ///< "bool", "integer", "number", "string", "list"
  std::string allowed;              ///< "0..1000"
  std::string meaning;
  std::string default_value;
  bool needs_restart = false; ///< a reload that changes it is refused
};
const std::vector<key_info>& all_keys();

/// Returns the value of `key` (or of an alias, with its section) as TOML text, for `config show`;
/// "" when there is no such key.
std::string value_of(const options& values, std::string_view key);

/// Returns the keys that differ between the two and cannot change without a restart.
std::vector<std::string> restart_needed(const options& from, const options& to);

/// A key with two values, as TOML text.
struct key_change {
  std::string key;
  std::string before;
  std::string after;
};
/// Returns the keys that differ between the two, in the order of `all_keys`.
std::vector<key_change> changes(const options& from, const options& to);

struct preset_info {
  std::string name; ///< "datacenter-low-latency", "a100", "vram-8gb", "scenario-batch-etl", ...
  std::string summary;
  std::string toml;
};
const std::vector<preset_info>& all_presets();

} // namespace engram
