#pragma once

#include "engram/base/error.hpp"

#include <string>

namespace engram {

/// Makes standard error the log of this process, with times in UTC.
void open_log();

/// Returns "debug", "info", "warning" or "error".
std::string log_level();
/// From now on only what is at least as important is logged. `invalid_argument` for another word.
result<void> set_log_level(const std::string& level);

/// Logs a line that no level silences.
void log_always(const std::string& line);

} // namespace engram
