#pragma once

/// Numbers that follow from a record.

#include "engram/bench/gpu/break_even.hpp"
#include "engram/bench/gpu/record.hpp"

#include <optional>
#include <string>
#include <vector>

namespace engram::bench {

/// Returns median CPU time / median GPU time, both host to host; nothing unless both were measured.
std::optional<double> speedup_of(const case_record& record);

/// Where the GPU's share of a family's time went, in seconds: sums over all measured batches.
struct time_shares {
  double kernel = 0;
  double transfer = 0;
  double launch = 0; ///< the device was occupied and neither computed nor copied
  double idle = 0;   ///< the caller waited and the device was not occupied
  double total = 0;  ///< wall time of all batches

  friend bool operator==(const time_shares&, const time_shares&) = default;
};

/// Returns nothing where the GPU reported no parts.
std::optional<time_shares> shares_of(const case_record& record);
std::optional<time_shares> shares_of_family(const run_record& run, const std::string& family);

/// Returns the families in the order of their first case.
std::vector<std::string> families_of(const run_record& run);

break_even break_even_of(const run_record& run, const std::string& family);

} // namespace engram::bench
