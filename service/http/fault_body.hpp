#pragma once

#include "engram/base/error.hpp"

#include <iosfwd>
#include <string>
#include <vector>

namespace engram {

/// Reads the JSON body that arms fault points, {"faults": ["SITE=TASK", ..]} or {"setting":
/// "SITE=TASK; .."}, and returns its settings, at least one, as they are written.
/// `invalid_argument` names the field, or the line and column for text that is not JSON.
result<std::vector<std::string>> read_fault_settings(std::istream& in);

} // namespace engram
