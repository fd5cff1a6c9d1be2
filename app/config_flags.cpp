#include "engram/app/config_flags.hpp"

#include "engram/app/commands.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace engram {

namespace {

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('.') + 1);
}

/// Returns the ways to write each key, all unambiguous, by key.
std::map<std::string, std::set<std::string>> spellings() {
  std::map<std::string, std::set<std::string>> by_key;
  std::map<std::string, std::set<std::string>> keys_called; // last part -> keys
  for (const auto& key : all_keys()) {
    std::vector<std::string> paths = key.aliases;
    paths.push_back(key.key);
    for (const auto& path : paths) {
      by_key[key.key].insert(path);
      keys_called[last_part(path)].insert(key.key);
    }
  }
  for (const auto& [name, keys] : keys_called)
    if (keys.size() == 1) by_key[*keys.begin()].insert(name);
  for (auto& [key, names] : by_key) {
    for (std::string name : std::set{names}) {
      std::replace(name.begin(), name.end(), '_', '-');
      names.insert(name);
    }
  }
  return by_key;
}

} // namespace

void add_config_flags(CLI::App& app, common_options& common) {
  for (const auto& [key, names] : spellings()) {
    std::string all;
    for (const auto& name : names)
      all += (all.empty() ? "--" : ",--") + name;
    const auto keep = [&common, path = key](const std::string& value) {
      common.flags.emplace_back(path, value);
    };
    // Not shown: --help would be longer than a screen; `engram config show` lists the keys.
    app.add_option_function<std::string>(all, keep)->group("")->take_last();
  }
  const auto set = [&common](const std::vector<std::string>& settings) {
    for (const auto& setting : settings) {
      const auto equals = setting.find('=');
      if (equals == std::string::npos || equals == 0)
        throw CLI::ValidationError("--set", "\"" + setting + "\" is not KEY=VALUE");
      common.flags.emplace_back(setting.substr(0, equals), setting.substr(equals + 1));
    }
  };
  app.add_option_function<std::vector<std::string>>(
         "--set", set, "Set a configuration key; --KEY VALUE does the same")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
}

} // namespace engram
