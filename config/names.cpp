#include "engram/config/names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <numeric>

namespace engram::config {
namespace {

// Read by kernels/, devices/, datasets/ and app/ themselves, and by the scripts and tests.
constexpr std::array<std::string_view, 8> other_variables{
    "ENGRAM_ISA",    "ENGRAM_FAILPOINTS", "ENGRAM_DATA_DIR", "ENGRAM_CONFIG",
    "ENGRAM_PRESET", "ENGRAM_CACHE_DIR",  "ENGRAM_NVTX",     "ENGRAM_CUDA_GRAPHS"};

std::string as_variable(std::string_view spelling) {
  std::string out = "ENGRAM_";
  for (const char c : spelling)
    out += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

void add(spellings& to, const std::string& spelling, const key& which) {
  auto& meant = to[spelling];
  if (std::find(meant.begin(), meant.end(), &which) == meant.end()) meant.push_back(&which);
}

std::vector<std::string_view> names_of(const key& which) {
  std::vector<std::string_view> names{which.name};
  names.insert(names.end(), which.aliases.begin(), which.aliases.end());
  return names;
}

spellings dotted() {
  spellings all;
  for (const auto& each : keys())
    for (const auto name : names_of(each))
      add(all, std::string{each.section} + '.' + std::string{name}, each);
  return all;
}

spellings last_parts() {
  spellings all;
  for (const auto& each : keys())
    for (const auto name : names_of(each))
      add(all, std::string{name}, each);
  return all;
}

// A dotted path wins over a last part that is spelled like it.
template <class Spell>
spellings joined(Spell spell) {
  spellings all;
  for (const auto& [path, meant] : dotted())
    for (const auto* each : meant)
      add(all, spell(path), *each);
  const auto paths = all;
  for (const auto& [name, meant] : last_parts())
    if (!paths.contains(spell(name)))
      for (const auto* each : meant)
        add(all, spell(name), *each);
  return all;
}

/// Returns the Levenshtein distance.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const auto changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string_view last_part(std::string_view name) {
  return name.substr(name.rfind('.') + 1); // npos + 1 is 0
}

} // namespace

const spellings& file_spellings() {
  static const auto all = dotted();
  return all;
}

const spellings& flag_spellings() {
  static const auto all = joined([](const std::string& spelling) { return spelling; });
  return all;
}

const spellings& variable_spellings() {
  static const auto all = joined(as_variable);
  return all;
}

std::string variable_of(const key& which) {
  const auto brief = as_variable(which.name);
  const auto found = variable_spellings().find(brief);
  const bool unique = found != variable_spellings().end() && found->second.size() == 1 &&
                      found->second.front() == &which;
  return unique ? brief : as_variable(which.path());
}

bool is_other_variable(std::string_view variable) {
  return std::find(other_variables.begin(), other_variables.end(), variable) !=
         other_variables.end();
}

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr std::size_t longest = 128; // nothing we know is longer; bounds the work
  if (name.size() > longest) return {};
  const auto tolerance = std::min<std::size_t>(3, name.size() / 4);
  std::string best;
  auto best_distance = tolerance + 1;
  for (const auto& candidate : candidates) {
    // The right name in the wrong section is one mistake.
    const bool same_name = last_part(candidate) == last_part(name);
    const auto found = same_name ? std::size_t{1} : distance(name, candidate);
    if (found < best_distance) {
      best = candidate;
      best_distance = found;
    }
  }
  return best;
}

std::vector<std::string> candidates_of(const spellings& all) {
  std::vector<std::string> names;
  for (const auto& [spelling, meant] : all)
    if (meant.size() == 1) names.push_back(spelling);
  return names;
}

} // namespace engram::config
