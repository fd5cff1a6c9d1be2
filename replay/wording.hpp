#pragma once

/// Numbers for people; what the table, the page and the progress line share.

#include <cstdint>
#include <string>

namespace engram::replay {

/// Returns "12,345".
std::string count_text(std::uint64_t number);
/// Returns "1,234.5" or "12,345": one decimal below 10,000.
std::string rate_text(double per_second);
/// Returns "0.85 ms", "12.3 ms", "1.20 s" or "870 us": three digits.
std::string latency_text(std::uint64_t nanoseconds);
/// Returns "0.5 %": three digits.
std::string percent_text(double share);
/// Returns "12.3 s".
std::string seconds_text(double seconds);

/// Returns part / whole, 0 for nothing.
inline double share_of(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

} // namespace engram::replay
