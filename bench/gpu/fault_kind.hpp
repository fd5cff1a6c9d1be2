#pragma once

#include "engram/base/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram::bench {

/// One way to make a GPU fail while it works.
struct fault_kind {
  std::string_view name;
  std::string_view setting = {}; ///< of the fault point gpu0.launch; empty for a signal
  std::string_view role = {};    ///< the child process that gets the signal; empty for a setting
  int signal = 0;
  bool real_only = false;     ///< what a simulated GPU cannot do
  bool is_sticky = false;     ///< the bounds of detection and return are for these
  bool loses_data = false;    ///< resident data has to be uploaded again
  bool may_go_unseen = false; ///< whoever works does not need the process
};

/// Returns every kind, those that the table shows first.
std::span<const fault_kind> fault_kinds() noexcept;

/// One row of the table.
struct fault_plan {
  fault_kind kind;
  std::uint32_t times = 0;
  bool cold = false; ///< no standby is kept

  /// Returns its name as it was asked for: "trap", "trap/cold".
  std::string name() const;
};

/// Reads "illegal_address:200,trap:20,illegal_address/cold:20,kill_owner:5"; without a count a kind
/// happens 20 times. `invalid_argument` names what is wrong and lists the kinds.
result<std::vector<fault_plan>> parse_fault_plans(std::string_view text);

/// Returns the rows that are run when none is asked for, as parse_fault_plans reads them. Without
/// child processes nobody gets a signal, and after a real fault a real GPU does not come back.
std::string default_fault_plans(bool simulated, bool has_processes);

} // namespace engram::bench
