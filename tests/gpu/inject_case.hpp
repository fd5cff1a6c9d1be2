#pragma once

#include <string>
#include <vector>

namespace engram::inject {

/// One way to substitute return codes while a pipeline works.
struct inject_case {
  std::string name; ///< "all/launch_failure"
  /// The rules, for cuda_inject; `log` is where each substitution is to be written.
  std::string config(const std::string& log) const;

  // As in call_rules:
  std::vector<std::string> calls;
  int code = 0;
  double percent = 0;
  double after_ms = 0;
};

/// Returns every case: each code on all calls (1 % of them, once a process runs), on the calls that
/// batches are made of (20 %), and on all calls from a process's first on (3 %).
std::vector<inject_case> inject_cases();

} // namespace engram::inject
