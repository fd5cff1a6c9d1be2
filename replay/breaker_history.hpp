#pragma once

#include "engram/replay/report.hpp"

#include <string_view>

namespace engram::replay {

/// Returns the change that a "breaker" event tells of ("closed -> open: sticky"); nothing when its
/// detail does not name two states.
std::optional<breaker_change> breaker_change_of(const pipeline_event& event, time_point zero);

} // namespace engram::replay
