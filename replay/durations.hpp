#pragma once

#include "engram/base/clock.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace engram::replay {

/// Returns the duration that a text such as "250us", "1.5ms", "10s" or "2m" names; nothing when it
/// is not one, is negative, or is longer than a day.
std::optional<duration> parse_duration(std::string_view text);

/// Returns `d` for people: "250 us", "1.5 ms", "10 s"; three significant digits.
std::string duration_text(duration d);

} // namespace engram::replay
