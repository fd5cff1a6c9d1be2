#pragma once

#include "engram/base/error.hpp"
#include "engram/devices/fault_points.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// One TERM of a fault setting. An action of kind `none` is the task `off`.
struct fault_term {
  double probability = 1.0;
  std::optional<std::uint64_t> remaining; ///< times it may still fire; nothing: no limit
  fault_action action;
};

/// A parsed setting: `site=TERM[->TERM...]`.
struct fault_setting {
  std::string site;
  std::string program; ///< the text after '='
  std::vector<fault_term> terms;
};

/// Parses one setting. `invalid_argument` quotes the part that is wrong and says what is allowed
/// there.
result<fault_setting> parse_fault_setting(std::string_view text);

/// Parses several. Naming a site twice is an error.
result<std::vector<fault_setting>> parse_fault_settings(std::span<const std::string> texts);

} // namespace engram
