#include "engram/replay/table_reader.hpp"

#include "engram/config/names.hpp"
#include "engram/config/values.hpp"
#include "engram/replay/durations.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

namespace engram::replay {

namespace {

std::string joined(const std::vector<std::string_view>& words) {
  std::string out;
  for (const auto word : words)
    (out += out.empty() ? "\"" : ", \"") += std::string{word} + '"';
  return out;
}

std::string bounds(double lowest, double highest) {
  return config::plain(lowest) + ".." + config::plain(highest);
}

std::optional<std::uint32_t> whole_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, number);
  if (status != std::errc{} || rest != end) return std::nullopt;
  return number;
}

/// Returns the range that `node` names; nothing when it names none.
std::optional<count_range> range_of(const toml::node& node) {
  if (const auto* number = node.as_integer()) {
    if (number->get() < 0 || number->get() > UINT32_MAX) return std::nullopt;
    const auto both = static_cast<std::uint32_t>(number->get());
    return count_range{both, both};
  }
  const auto* text = node.as_string();
  if (!text) return std::nullopt;
  const std::string_view whole = text->get();
  const auto dots = whole.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto lowest = whole_number(whole.substr(0, dots));
  const auto highest = whole_number(whole.substr(dots + 2));
  if (!lowest || !highest || *lowest > *highest) return std::nullopt;
  return count_range{*lowest, *highest};
}

} // namespace

std::string shown(const toml::node& node) {
  constexpr std::size_t longest = 80;
  if (node.is_table()) return "{ ... }";
  if (node.is_array_of_tables()) return "[{ ... }]";
  std::ostringstream out;
  if (const auto* text = node.as_string())
    out << config::toml_string(text->get());
  else
    node.visit([&](const auto& typed) { out << typed; });
  auto text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.size() > longest ? text.substr(0, longest) + "..." : text;
}

void mistakes::add(unsigned line, const std::string& what) {
  found_.push_back({line, file_ + ':' + std::to_string(line) + ": " + what});
}

void mistakes::add_placed(std::string text) {
  found_.push_back({UINT32_MAX, std::move(text)});
}

error mistakes::as_error() const {
  auto in_order = found_;
  std::stable_sort(in_order.begin(), in_order.end(),
                   [](const mistake& a, const mistake& b) { return a.line < b.line; });
  std::string all;
  for (const auto& each : in_order)
    (all += all.empty() ? "" : "\n") += each.text;
  return {ec::invalid_argument, std::move(all)};
}

table_reader::table_reader(const toml::table& table, std::string path, unsigned line,
                           mistakes& into)
    : table_(table), path_(std::move(path)), line_(line), mistakes_(into) {}

const toml::node* table_reader::ask(std::string_view key) {
  known_.emplace_back(key);
  return table_.get(key);
}

unsigned table_reader::line_of(std::string_view key) const {
  const auto at = table_.find(key);
  return at == table_.end() ? line_ : at->first.source().begin.line;
}

void table_reader::reject(std::string_view key, const std::string& why) {
  const auto* node = table_.get(key);
  mistakes_.add(line_of(key),
                path_ + std::string{key} + " = " + (node ? shown(*node) : "") + ' ' + why);
}

void table_reader::missing(std::string_view key, std::string_view allowed) {
  mistakes_.add(line_, path_ + std::string{key} + " is missing: allowed " + std::string{allowed});
}

std::string table_reader::text(std::string_view key, std::string_view fallback) {
  const auto* node = ask(key);
  if (!node) return std::string{fallback};
  if (const auto* found = node->as_string()) return found->get();
  reject(key, "is not a string");
  return std::string{fallback};
}

std::string table_reader::required_text(std::string_view key, std::string_view allowed) {
  const auto found = text(key, "");
  if (!has(key))
    missing(key, allowed);
  else if (found.empty() && table_.get(key)->is_string())
    reject(key, "is empty: allowed " + std::string{allowed});
  return found;
}

double table_reader::number(std::string_view key, double lowest, double highest,
                            std::optional<double> fallback) {
  const auto* node = ask(key);
  if (!node) {
    if (!fallback) missing(key, bounds(lowest, highest));
    return fallback.value_or(lowest);
  }
  const auto found = node->is_number() ? node->value<double>() : std::nullopt;
  if (found && *found >= lowest && *found <= highest) return *found;
  reject(key, std::string{found ? "is out of range" : "is not a number"} + ": allowed " +
                  bounds(lowest, highest));
  return fallback.value_or(lowest);
}

std::int64_t table_reader::signed_integer(std::string_view key, std::int64_t lowest,
                                          std::int64_t highest, std::int64_t fallback) {
  const auto* node = ask(key);
  if (!node) return fallback;
  const auto* found = node->as_integer();
  if (found && found->get() >= lowest && found->get() <= highest) return found->get();
  reject(key, std::string{found ? "is out of range" : "is not an integer"} + ": allowed " +
                  std::to_string(lowest) + ".." + std::to_string(highest));
  return fallback;
}

std::uint64_t table_reader::integer(std::string_view key, std::uint64_t lowest,
                                    std::uint64_t highest, std::optional<std::uint64_t> fallback) {
  if (!fallback && !has(key)) {
    ask(key);
    missing(key, std::to_string(lowest) + ".." + std::to_string(highest));
    return lowest;
  }
  return static_cast<std::uint64_t>(
      signed_integer(key, static_cast<std::int64_t>(lowest), static_cast<std::int64_t>(highest),
                     static_cast<std::int64_t>(fallback.value_or(lowest))));
}

duration table_reader::time(std::string_view key, duration lowest, duration highest,
                            std::optional<duration> fallback) {
  const auto* node = ask(key);
  const auto allowed = "\"" + duration_text(lowest) + "\"..\"" + duration_text(highest) + '"';
  if (!node) {
    if (!fallback) missing(key, allowed);
    return fallback.value_or(lowest);
  }
  const auto* text = node->as_string();
  const auto found = text ? parse_duration(text->get()) : std::nullopt;
  if (found && *found >= lowest && *found <= highest) return *found;
  reject(key, std::string{found ? "is out of range" : "is not a time like \"10s\" or \"250ms\""} +
                  ": allowed " + allowed);
  return fallback.value_or(lowest);
}

std::optional<duration> table_reader::optional_time(std::string_view key, duration lowest,
                                                    duration highest) {
  const auto read = time(key, lowest, highest, lowest);
  return has(key) ? std::optional{read} : std::nullopt;
}

count_range table_reader::range(std::string_view key, std::uint32_t highest, count_range fallback) {
  const auto* node = ask(key);
  if (!node) return fallback;
  const auto found = range_of(*node);
  if (found && found->lowest >= 1 && found->highest <= highest) return *found;
  reject(key, std::string{found ? "is out of range" : "is not a count like 4 or \"1..8\""} +
                  ": allowed " + bounds(1, highest));
  return fallback;
}

std::size_t table_reader::choice(std::string_view key, const std::vector<std::string_view>& words,
                                 std::optional<std::size_t> fallback) {
  const auto* node = ask(key);
  if (!node) {
    if (!fallback) missing(key, joined(words));
    return fallback.value_or(0);
  }
  if (const auto* text = node->as_string()) {
    const auto at = std::find(words.begin(), words.end(), std::string_view{text->get()});
    if (at != words.end()) return static_cast<std::size_t>(at - words.begin());
  }
  reject(key, "is unknown: allowed " + joined(words));
  return fallback.value_or(0);
}

const toml::table* table_reader::table(std::string_view key, std::string_view shape) {
  const auto* node = ask(key);
  if (!node) return nullptr;
  if (const auto* found = node->as_table()) return found;
  reject(key, "is not a table; write " + std::string{shape} + " and its keys below it");
  return nullptr;
}

const toml::array* table_reader::tables(std::string_view key, std::string_view shape) {
  const auto* node = ask(key);
  if (!node) return nullptr;
  const auto* found = node->as_array();
  if (found && found->is_homogeneous(toml::node_type::table)) return found;
  reject(key, "is not a list of tables; write " + std::string{shape} + " and its keys below it");
  return nullptr;
}

void table_reader::finish(std::string_view kind) {
  for (const auto& [key, node] : table_) {
    const std::string name{key.str()};
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const auto near = config::nearest(name, known_);
    std::string known;
    for (const auto& each : known_)
      (known += known.empty() ? "" : ", ") += each;
    reject(name, "is not a key of " + std::string{kind} +
                     (near.empty() ? ": allowed " + known : "; did you mean " + near + '?'));
  }
}

} // namespace engram::replay
