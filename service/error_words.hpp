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

/// Returns what a client sent as it may stand in a sentence: in quotes, and not at any length.
inline std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 100;
  return "'" + std::string{text.substr(0, longest)} + "'";
}

} // namespace engram
