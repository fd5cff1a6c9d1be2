#include "engram/config/keys.hpp"
#include "engram/config/load.hpp"
#include "engram/config/names.hpp"
#include "engram/config/values.hpp"

namespace engram {

using config::keys;
using config::to_text;

std::optional<std::string> complaint(const options& values) {
  std::string all;
  const auto add = [&](const std::string& sentence) {
    (all += all.empty() ? "" : "\n") += sentence;
  };
  for (const auto& each : keys()) {
    const auto what = each.bound.get(values);
    if (const auto reason = misfit(each, what))
      add(each.path() + " = " + to_text(what) + ' ' + *reason + ": allowed " + allowed_text(each));
  }
  for (const auto& pair : config::ordered_pairs())
    if (const auto reason = disorder(pair, values)) add(*reason);
  if (all.empty()) return {};
  return all;
}

std::optional<std::string> complaint(const pipeline_options& values) {
  options whole;
  whole.pipeline = values;
  return complaint(whole);
}

std::string to_toml(const configuration& effective) {
  std::string out;
  std::string_view section;
  for (const auto& each : keys()) {
    if (each.section != section) {
      section = each.section;
      ((out += out.empty() ? "[" : "\n[") += section) += "]\n";
    }
    const auto origin = effective.origins.find(each.path());
    ((out += "# ") += each.meaning) += "; allowed: " + allowed_text(each);
    if (origin != effective.origins.end()) out += "; from: " + origin->second;
    ((out += '\n') += each.name) += " = " + to_text(each.bound.get(effective.values)) + '\n';
  }
  return out;
}

std::string config_template() {
  std::string out =
      "# Engram's configuration: every key with its default, none of them set. Remove the # of a "
      "key "
      "to set it.\n"
      "# `engram config check FILE` says whether the file is in order. Keys that are marked live "
      "change at a\n"
      "# reload; the others need a restart.\n";
  const options defaults;
  std::string_view section;
  for (const auto& each : keys()) {
    if (each.section != section) {
      section = each.section;
      ((out += "\n[") += section) += "]\n";
    }
    ((out += "\n# ") += each.meaning) += each.live ? "; live\n" : "\n";
    (out += "# allowed: ") += allowed_text(each) + "\n#";
    (out += each.name) += " = " + to_text(each.bound.get(defaults)) + '\n';
  }
  return out;
}

const std::vector<key_info>& all_keys() {
  static const auto all = [] {
    std::vector<key_info> infos;
    const options defaults;
    for (const auto& each : keys()) {
      key_info info{.key = each.path(),
                    .environment = variable_of(each),
                    .aliases = {},
                    .type = std::string{to_string(each.bound.type)},
                    .allowed = allowed_text(each),
                    .meaning = std::string{each.meaning},
                    .default_value = to_text(each.bound.get(defaults)),
                    .needs_restart = !each.live};
      for (const auto alias : each.aliases)
        info.aliases.push_back(std::string{each.section} + '.' + std::string{alias});
      infos.push_back(std::move(info));
    }
    return infos;
  }();
  return all;
}

std::string value_of(const options& values, std::string_view key) {
  const auto found = config::file_spellings().find(key);
  return found == config::file_spellings().end()
             ? std::string{}
             : to_text(found->second.front()->bound.get(values));
}

std::vector<std::string> restart_needed(const options& from, const options& to) {
  std::vector<std::string> changed;
  for (const auto& each : keys())
    if (!each.live && each.bound.get(from) != each.bound.get(to)) changed.push_back(each.path());
  return changed;
}

std::vector<key_change> changes(const options& from, const options& to) {
  std::vector<key_change> out;
  for (const auto& each : config::keys()) {
    auto before = to_text(each.bound.get(from)), after = to_text(each.bound.get(to));
    if (before != after) out.push_back({each.path(), std::move(before), std::move(after)});
  }
  return out;
}

} // namespace engram
