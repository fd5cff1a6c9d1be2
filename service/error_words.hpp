#pragma once

/// How errors of what clients sent are worded.

#include "engram/base/error.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace engram {

inline error invalid(std::string message) {
  return {ec::invalid_argument, std::move(message)};
}

/// Returns what a client sent as it may stand in a sentence: in quotes, and not at any length. A
/// character of UTF-8 is not cut in two.
inline std::string in_quotes(std::string_view text) {
  std::size_t length = 100;
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  while (length > 0 && length < text.size() && continues(length))
    --length;
  return "'" + std::string{text.substr(0, length)} + "'";
}

} // namespace engram
