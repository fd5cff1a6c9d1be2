#include "engram/config/toml_reader.hpp"

#include "engram/config/toml_library.hpp"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <sstream>

namespace engram::config {
namespace {

std::string part_of_path(std::string_view name) {
  const auto is_bare = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  };
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), is_bare);
  return bare ? std::string{name} : toml_string(name);
}

written list_of(const toml::array& from) {
  std::vector<std::variant<std::int64_t, std::string>> entries;
  for (const auto& entry : from) {
    if (const auto* integer = entry.as_integer())
      entries.emplace_back(integer->get());
    else if (const auto* text = entry.as_string())
      entries.emplace_back(text->get());
    else
      return std::monostate{};
  }
  return entries;
}

written value_of_node(const toml::node& node) {
  if (const auto* truth = node.as_boolean()) return truth->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* array = node.as_array()) return list_of(*array);
  return std::monostate{};
}

// A whole number keeps its ".0", so that "is not an integer" makes sense.
std::string shown(double number) {
  auto text = plain(number);
  if (std::isfinite(number) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string shown(const toml::node& node) {
  if (const auto* text = node.as_string()) return toml_string(text->get());
  if (const auto* number = node.as_floating_point()) return shown(number->get());
  if (node.is_table()) return "{...}";
  if (const auto* array = node.as_array()) {
    std::string entries;
    for (const auto& entry : *array)
      (entries += entries.empty() ? "" : ", ") += shown(entry);
    return '[' + entries + ']';
  }
  std::ostringstream out;
  node.visit([&](const auto& typed) { out << typed; });
  return out.str();
}

std::string shortened(const std::string& text) {
  constexpr std::size_t longest = 80;
  return text.size() > longest ? text.substr(0, longest) + "..." : text;
}

void collect(const toml::table& from, const std::string& prefix, std::vector<toml_entry>& into) {
  for (const auto& [name, node] : from) {
    const auto path = prefix + part_of_path(name.str());
    // Unknown tables are not entered: one message for each, however deep they are.
    if (const auto* table = node.as_table(); table && is_section(path)) {
      collect(*table, path + '.', into);
      continue;
    }
    into.push_back({path, name.source().begin.line, node.is_table(), value_of_node(node),
                    shortened(shown(node))});
  }
}

/// Turns the parser's words into one sentence for people.
std::string sentence(std::string_view description) {
  constexpr std::string_view redefined = "cannot redefine existing ";
  if (const auto at = description.find(redefined); at != std::string_view::npos) {
    const auto what = description.substr(at + redefined.size());
    const auto name_begin = what.find('\'');
    const auto name = what.substr(name_begin, what.find('\'', name_begin + 1) + 1 - name_begin);
    return std::string{name} + " is set twice; keep one of the two";
  }
  constexpr std::string_view lead = "Error while parsing ";
  if (description.starts_with(lead)) {
    description.remove_prefix(lead.size());
    const auto colon = description.find(": ");
    if (colon != std::string_view::npos)
      return "not valid TOML, in a " + std::string{description.substr(0, colon)} + ": " +
             std::string{description.substr(colon + 2)};
  }
  auto rest = std::string{description};
  if (!rest.empty())
    rest.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(rest.front())));
  return "not valid TOML: " + rest;
}

} // namespace

result<std::vector<toml_entry>> read_toml(std::string_view text) {
  const auto parsed = toml::parse(text);
  if (!parsed) {
    const auto& why = parsed.error();
    return error{ec::invalid_argument,
                 std::to_string(why.source().begin.line) + ": " + sentence(why.description())};
  }
  std::vector<toml_entry> entries;
  collect(parsed.table(), "", entries);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  return entries;
}

} // namespace engram::config
