#include "engram/config/rules.hpp"

#include "engram/config/values.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

namespace engram::config {
namespace {

constexpr std::array<std::string_view, 4> simulated{"rtx3060", "t4", "a100", "h100"};

// Three digits are plenty for a host's GPUs and cannot overflow when they are read later.
bool is_ordinal(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return !text.empty() && text.size() <= 3 && std::all_of(text.begin(), text.end(), is_digit) &&
         (text.size() == 1 || text.front() != '0');
}

bool is_simulated(std::string_view text) {
  constexpr std::string_view prefix = "sim:";
  return text.substr(0, prefix.size()) == prefix &&
         std::find(simulated.begin(), simulated.end(), text.substr(prefix.size())) !=
             simulated.end();
}

} // namespace

std::optional<std::string> devices_misfit(const texts& devices) {
  if (devices.empty()) return "is empty (gpu.enabled = false turns GPUs off)";
  std::set<std::string_view> ordinals;
  for (const auto& device : devices) {
    if (device == "auto") {
      if (devices.size() > 1) return "puts \"auto\" beside other entries";
    } else if (is_ordinal(device)) {
      if (!ordinals.insert(device).second) return "lists " + toml_string(device) + " twice";
    } else if (!is_simulated(device)) {
      return "has " + toml_string(device) + ", which is no device";
    }
  }
  return {};
}

std::optional<std::string> isolation_misfit(const texts& isolation) {
  const auto& text = isolation.front();
  if (text.empty() || text == "process" || text == "none") return {};
  return "is not one of them";
}

std::optional<std::string> fault_points_misfit(const texts& points) {
  for (const auto& point : points) {
    const auto equals = point.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == point.size())
      return "has " + toml_string(point) + ", which is not of the form SITE=TASK";
  }
  return {};
}

std::optional<std::string> datasets_misfit(const texts& names) {
  std::set<std::string_view> seen;
  for (const std::string_view entry : names) {
    const auto at = entry.find('@');
    const auto name = entry.substr(0, at);
    if (name.empty() || (at != std::string_view::npos && at + 1 == entry.size()))
      return "has " + toml_string(entry) + ", which is not of the form NAME or NAME@VERSION";
    if (!seen.insert(name).second) return "lists " + toml_string(name) + " twice";
  }
  return {};
}

std::optional<std::string> host_misfit(const texts& host) {
  if (host.front().empty()) return "is empty";
  return {};
}

std::optional<std::string> shared_memory_prefix_misfit(const texts& prefix) {
  constexpr std::size_t longest = 255; // NAME_MAX
  const std::string& text = prefix.front();
  if (!text.starts_with('/')) return "does not begin with '/'";
  if (text.find('/', 1) != std::string::npos) return "has a second '/'";
  if (text.size() > longest) return "is longer than 255 bytes";
  return {};
}

} // namespace engram::config
