#pragma once

/// Values on their way between text and `options`.

#include "engram/base/error.hpp"
#include "engram/config/keys.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace engram::config {

/// A value as a TOML file has it; `monostate` for tables, dates and whatever else no key takes.
using written = std::variant<std::monostate, bool, std::int64_t, double, std::string,
                             std::vector<std::variant<std::int64_t, std::string>>>;

/// Returns the value for `which`, or an error whose message continues "KEY = VALUE ...".
result<value> from_toml(const key& which, const written& what);

/// As above, for environment variables and flags: lists are separated by commas.
result<value> from_text(const key& which, std::string_view text);

/// Returns the value as TOML text on one line.
std::string to_text(const value& what);

/// Returns a TOML basic string.
std::string toml_string(std::string_view text);

/// Returns the shortest text that reads back as `number`, without an exponent for common sizes.
std::string plain(double number);

/// Returns the word for documentation: "bool", "integer", "number", "string", "list".
std::string_view to_string(kind type);

} // namespace engram::config
