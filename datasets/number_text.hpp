#pragma once

#include <charconv>
#include <string>

namespace engram {

/// Returns the shortest text that reads back as `value`; for messages.
template <class Number>
std::string number_text(Number value) {
  char buffer[40];
  const auto [end, status] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return std::string(buffer, end);
}

} // namespace engram
