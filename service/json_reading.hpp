#pragma once

/// What the readers of JSON bodies share. Private: it brings the JSON library along.

#include "engram/base/error.hpp"

#include <nlohmann/json.hpp>

#include <istream>
#include <string>
#include <string_view>

namespace engram {

/// Returns what to say of text that the parser could not read, with the line and column.
inline std::string not_json(const nlohmann::json::exception& why) {
  std::string_view text = why.what();
  if (const auto bracket = text.find("] "); bracket != std::string_view::npos)
    text.remove_prefix(bracket + 2);
  // The parser quotes what it read last, which may be most of the body.
  constexpr std::size_t longest = 240;
  return "the body is not JSON: " + std::string{text.substr(0, longest)} +
         (text.size() > longest ? "..." : "");
}

/// Feeds the body to `listener`, to its end. `invalid_argument` with the listener's complaint, or
/// for a body that is empty or goes on after its JSON.
template <class Listener>
result<void> read_json(std::istream& in, Listener& listener) {
  if (in.peek() == std::istream::traits_type::eof())
    return error{ec::invalid_argument, "the body is empty: send a JSON object"};
  if (!nlohmann::json::sax_parse(in, &listener))
    return error{ec::invalid_argument, listener.complaint()};
  // The parser takes a zero byte for the end of its input.
  in.clear();
  if (in.unget() && in.get() == 0)
    return error{ec::invalid_argument, "the body is not JSON: it has a zero byte"};
  return {};
}

} // namespace engram
