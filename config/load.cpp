#include "engram/config/load.hpp"

#include "engram/config/keys.hpp"
#include "engram/config/names.hpp"
#include "engram/config/toml_reader.hpp"
#include "engram/config/values.hpp"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <variant>

namespace engram {
namespace {

using namespace config;

/// One value that a source gives to one key, before it is known to be right.
struct setting {
  const key* target;
  std::string name;   ///< as it was written
  std::string shown;  ///< the value as it was written
  std::string place;  ///< begins its messages
  std::string origin; ///< what `config show` says
  result<value> what; ///< the value, or what is wrong with it
};

/// A source, read: what it sets and, as a message, what in it cannot be understood.
using layer = std::vector<std::variant<setting, std::string>>;

/// Puts the layers on top of each other and collects what is wrong.
class stack {
public:
  stack() {
    for (const auto& each : keys())
      built_.origins[each.path()] = "default";
  }

  void add(const layer& top) {
    std::map<const key*, const setting*> seen;
    for (const auto& each : top) {
      if (const auto* mistake = std::get_if<std::string>(&each))
        mistakes_.push_back(*mistake);
      else
        add(std::get<setting>(each), seen);
    }
  }

  result<configuration> finish() {
    check_order();
    if (mistakes_.empty()) return std::move(built_);
    std::string message;
    for (const auto& each : mistakes_)
      (message += message.empty() ? "" : "\n") += each;
    return error{ec::invalid_argument, std::move(message)};
  }

private:
  void add(const setting& each, std::map<const key*, const setting*>& seen) {
    const auto [first, is_new] = seen.emplace(each.target, &each);
    if (is_new)
      apply(each);
    else
      reject(each, " sets the same key as " + first->second->name + " (" + first->second->place +
                       "); keep one of the two");
  }

  void apply(const setting& from) {
    if (!from.what) {
      reject(from, " = " + from.shown + ' ' + from.what.error().message + ": allowed " +
                       allowed_text(*from.target));
      return;
    }
    from.target->bound.set(built_.values, *from.what);
    built_.origins[from.target->path()] = from.origin;
  }

  void reject(const setting& from, const std::string& why) {
    wrong_.insert(from.target);
    mistakes_.push_back(from.place + ": " + from.name + why);
  }

  void check_order() {
    for (const auto& pair : ordered_pairs()) {
      const auto* lower = find_key(pair.lower);
      const auto* upper = find_key(pair.upper);
      if (wrong_.contains(lower) || wrong_.contains(upper))
        continue; // their values are not the ones that were asked for
      if (auto why = disorder(pair, built_.values)) {
        const auto& origin = built_.origins[lower->path()];
        mistakes_.push_back((origin == "default" ? built_.origins[upper->path()] : origin) + ": " +
                            *why);
      }
    }
  }

  configuration built_;
  std::vector<std::string> mistakes_;
  std::set<const key*> wrong_;
};

std::string unknown(const std::string& name, const spellings& known) {
  const auto near = nearest(name, candidates_of(known));
  return " is not a key" +
         (near.empty() ? "; `engram config show` lists the keys" : "; did you mean " + near + '?');
}

std::string ambiguous(const std::vector<const key*>& meant) {
  std::string out = " could be ";
  for (std::size_t i = 0; i < meant.size(); ++i)
    (out += i == 0 ? "" : " or ") += meant[i]->path();
  return out + "; write the section too";
}

std::string unknown_section(const std::string& path) {
  std::vector<std::string> sections;
  for (const auto& each : keys())
    sections.emplace_back(each.section);
  const auto near = nearest(path, sections);
  return '[' + path + "] is not a section" +
         (near.empty() ? "; `engram config show` lists them" : "; did you mean [" + near + "]?");
}

void add_entry(layer& to, const toml_entry& entry, const std::string& name,
               const std::string& preset) {
  const auto place = name + ':' + std::to_string(entry.line);
  const auto found = file_spellings().find(entry.path);
  if (found != file_spellings().end()) {
    const auto* target = found->second.front();
    to.push_back(setting{target, entry.path, entry.shown, place,
                         preset.empty() ? place : "preset " + preset,
                         from_toml(*target, entry.what)});
  } else if (entry.is_table) {
    to.push_back(place + ": " + unknown_section(entry.path));
  } else if (is_section(entry.path)) {
    to.push_back(place + ": " + entry.path + " = " + entry.shown + " is not a section; write [" +
                 entry.path + "] and its keys below it");
  } else {
    to.push_back(place + ": " + entry.path + " = " + entry.shown +
                 unknown(entry.path, file_spellings()));
  }
}

// All keys with their comments fill a tenth of this.
constexpr std::size_t longest_file = 64u << 10;

// The parser calls itself for every dot of a dotted key; this keeps it within any thread's stack.
constexpr std::ptrdiff_t most_dots = 4'000;

/// Says why a text is not worth parsing; nothing when it is.
std::optional<std::string> excess(std::string_view text) {
  if (text.size() > longest_file) return "longer than 64 KiB, which no configuration is";
  if (std::count(text.begin(), text.end(), '.') > most_dots)
    return "more than 4000 dots, which no configuration has";
  return {};
}

/// Reads TOML text; `preset` is empty for a file.
layer toml_layer(std::string_view text, const std::string& name, const std::string& preset) {
  layer read;
  if (const auto why = excess(text)) {
    read.push_back(name + ": " + *why);
    return read;
  }
  const auto entries = read_toml(text);
  if (!entries) {
    read.push_back(name + ':' + entries.error().message);
    return read;
  }
  for (const auto& entry : *entries)
    add_entry(read, entry, name, preset);
  return read;
}

std::string shown_text(const key& which, const std::string& text) {
  const auto type = which.bound.type;
  return type == kind::string || type == kind::list || text.empty() ? toml_string(text) : text;
}

using text_pairs = std::vector<std::pair<std::string, std::string>>;

/// What sets the environment and the flags apart.
struct text_source {
  const spellings& known;
  std::string place;  ///< begins its messages
  std::string origin; ///< begins what `config show` says
  std::string lead;   ///< what a person writes before a name
};

layer text_layer(const text_pairs& pairs, const text_source& source) {
  layer read;
  for (const auto& [name, text] : pairs) {
    const auto as_written = source.lead + name;
    const auto begin = source.place + ": " + as_written;
    const auto found = source.known.find(name);
    if (found == source.known.end()) {
      read.push_back(begin + " = " + toml_string(text) + unknown(name, source.known));
    } else if (found->second.size() > 1) {
      read.push_back(begin + ambiguous(found->second));
    } else {
      const auto* target = found->second.front();
      read.push_back(setting{target, as_written, shown_text(*target, text), source.place,
                             source.origin + ' ' + as_written, from_text(*target, text)});
    }
  }
  return read;
}

layer environment_layer(text_pairs variables) {
  std::erase_if(variables, [](const auto& each) { return is_other_variable(each.first); });
  return text_layer(variables, {variable_spellings(), "environment", "environment", ""});
}

layer flag_layer(const text_pairs& flags) {
  auto named = flags;
  for (auto& [name, text] : named)
    std::replace(name.begin(), name.end(), '-', '_');
  return text_layer(named, {flag_spellings(), "command line", "flag", "--"});
}

layer preset_layer(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& each : all_presets()) {
    if (each.name == name) return toml_layer(each.toml, "preset " + name, name);
    names.push_back(each.name);
  }
  const auto near = nearest(name, names);
  return {"preset " + toml_string(name) + " is unknown" +
          (near.empty() ? "; `engram config presets` lists them" : "; did you mean " + near + '?')};
}

result<std::string> contents(const std::filesystem::path& file) {
  std::error_code failure;
  const auto status = std::filesystem::status(file, failure);
  if (!std::filesystem::exists(status))
    return error{ec::not_found, file.string() + ": there is no such file; name one that exists, or "
                                                "none to use the defaults"};
  if (std::filesystem::is_directory(status))
    return error{ec::invalid_argument, file.string() + ": is a directory; name a TOML file"};
  std::ifstream in{file, std::ios::binary};
  // One byte more than toml_layer takes, so that endless devices end here.
  std::string text(longest_file + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (!in.eof() && in.fail())
    return error{ec::unavailable, file.string() + ": cannot be read; check its permissions"};
  return text;
}

} // namespace

result<configuration> load_configuration(const config_sources& sources) {
  stack all;
  if (!sources.preset.empty()) all.add(preset_layer(sources.preset));
  if (sources.file) {
    const auto text = contents(*sources.file);
    if (!text) return text.error();
    all.add(toml_layer(*text, sources.file->string(), ""));
  }
  all.add(environment_layer(sources.environment));
  all.add(flag_layer(sources.flags));
  return all.finish();
}

result<configuration> parse_configuration(std::string_view toml, std::string_view name) {
  stack all;
  all.add(toml_layer(toml, std::string{name}, ""));
  return all.finish();
}

std::vector<std::pair<std::string, std::string>> environment_variables() {
  text_pairs found;
  for (auto* const* entry = environ; entry && *entry; ++entry) {
    const std::string_view text{*entry};
    const auto equals = text.find('=');
    if (text.starts_with("ENGRAM_") && equals != std::string_view::npos)
      found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  std::sort(found.begin(), found.end());
  return found;
}

} // namespace engram
