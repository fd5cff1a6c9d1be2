#pragma once

#include "engram/bench/gpu/fault_row.hpp"
#include "engram/bench/gpu/record.hpp"

#include <string>
#include <vector>

namespace engram::bench {

/// What a run of gpu_fault_recovery leaves behind.
struct recovery_run {
  run_record header; ///< without cases
  recovery_settings settings;
  latency_summary cpu_only;
  std::vector<recovery_row> faults;
};

/// What a sticky fault may cost on a real GPU.
struct recovery_bounds {
  double detect_seconds = 1e-3;     ///< p99
  double back_seconds = 20e-3;      ///< p99, with a standby
  double cold_back_seconds = 0.4;   ///< p99, without
  double callers_over_cpu_only = 2; ///< p99 of the callers meanwhile / p99 on the CPU alone
};

/// Returns what is wrong with `row`, one phrase each; nothing if all is well. On every GPU:
/// requests that did not get their one right answer, a row that is not whole, and data that was
/// uploaded again though its owner lived. On a real one also the bounds, for sticky faults.
std::vector<std::string> shortcomings(const recovery_row& row, double cpu_only_p99, bool simulated,
                                      const recovery_bounds& bounds = {});

/// Returns the table's head, one row of it, and what follows the last one.
std::string recovery_head(const recovery_run& run);
std::string recovery_line(const recovery_run& run, const recovery_row& row);
std::string recovery_tail(const recovery_run& run);

std::string to_json(const recovery_run& run);

} // namespace engram::bench
