#include "engram/bench/gpu/name_filter.hpp"

#include <algorithm>

namespace engram::bench {

namespace {

std::vector<std::string_view> pieces_of(std::string_view text) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const auto slash = std::min(text.find('/'), text.size());
    if (slash > 0) pieces.push_back(text.substr(0, slash));
    text.remove_prefix(std::min(slash + 1, text.size()));
  }
  return pieces;
}

} // namespace

bool matches(std::string_view name, std::string_view filter) {
  if (filter.find('/') == std::string_view::npos)
    return name.find(filter) != std::string_view::npos;
  const auto wanted = pieces_of(filter);
  const auto there = pieces_of(name);
  return std::search(there.begin(), there.end(), wanted.begin(), wanted.end()) != there.end() &&
         !wanted.empty();
}

bool matches_any(std::string_view name, const std::vector<std::string>& filters) {
  return filters.empty() || std::any_of(filters.begin(), filters.end(),
                                        [&](const auto& filter) { return matches(name, filter); });
}

} // namespace engram::bench
