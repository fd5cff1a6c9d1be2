#pragma once

#include "engram/base/error.hpp"

#include <iosfwd>
#include <string>
#include <string_view>

namespace engram {

/// Reads the JSON body {"FIELD": "TEXT"} and returns the text. `invalid_argument` says what is
/// wrong with any other.
result<std::string> read_one_text(std::istream& in, std::string_view field);

} // namespace engram
