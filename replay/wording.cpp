#include "engram/replay/wording.hpp"

#include <cmath>
#include <cstdio>

namespace engram::replay {

namespace {

std::string formatted(const char* format, double value, const char* unit) {
  char text[64];
  const auto length = std::snprintf(text, sizeof text, format, value);
  return std::string(text, static_cast<std::size_t>(length)) + unit;
}

/// Returns `value` with three digits and its unit.
std::string three_digits(double value, const char* unit) {
  return formatted(value >= 99.95 ? "%.0f" : value >= 9.995 ? "%.1f" : "%.2f", value, unit);
}

} // namespace

std::string count_text(std::uint64_t number) {
  auto digits = std::to_string(number);
  for (auto at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

std::string rate_text(double per_second) {
  const auto tenths = static_cast<std::uint64_t>(std::llround(std::max(0.0, per_second) * 10));
  if (tenths >= 100'000) return count_text((tenths + 5) / 10);
  return count_text(tenths / 10) + '.' + std::to_string(tenths % 10);
}

std::string latency_text(std::uint64_t nanoseconds) {
  const auto ns = static_cast<double>(nanoseconds);
  if (nanoseconds == 0) return "0";
  if (ns < 999.5e3) return three_digits(ns * 1e-3, " us");
  if (ns < 999.5e6) return three_digits(ns * 1e-6, " ms");
  return three_digits(ns * 1e-9, " s");
}

std::string percent_text(double share) {
  return formatted("%.3g", share * 100, " %");
}

std::string seconds_text(double seconds) {
  return formatted("%.1f", seconds, " s");
}

} // namespace engram::replay
