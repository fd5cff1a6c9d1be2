#include "engram/replay/durations.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

namespace engram::replay {

std::optional<duration> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 6> units{
      {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}, {"m", 60.0}, {"h", 3600.0}}};
  constexpr double longest_seconds = 86'400.0;
  double number = 0;
  const auto* end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, number);
  if (status != std::errc{} || !std::isfinite(number) || number < 0) return std::nullopt;
  std::string_view unit{rest, static_cast<std::size_t>(end - rest)};
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  for (const auto& [name, seconds] : units) {
    if (unit != name) continue;
    if (number * seconds > longest_seconds) return std::nullopt;
    return duration{std::llround(number * seconds * 1e9)};
  }
  return std::nullopt;
}

std::string duration_text(duration d) {
  const auto seconds = std::abs(to_seconds(d));
  const auto [scale, unit] = seconds >= 1.0    ? std::pair{1.0, "s"}
                             : seconds >= 1e-3 ? std::pair{1e3, "ms"}
                             : seconds > 0     ? std::pair{1e6, "us"}
                                               : std::pair{1.0, "s"};
  const auto value = to_seconds(d) * scale;
  char buffer[48];
  // %.3g would write 1200 as 1.2e+03.
  std::snprintf(buffer, sizeof buffer, std::abs(value) >= 1000 ? "%.0f %s" : "%.3g %s", value,
                unit);
  return buffer;
}

} // namespace engram::replay
