#pragma once

#include "engram/bench/gpu/record.hpp"
#include "engram/bench/gpu/verdict.hpp"

#include <string>

namespace engram::bench {

/// Returns 2.1 ms, 295 us, 12.3 us, 1.20 s: three digits or so.
std::string time_text(double seconds);

/// Returns machine, GPU and commit, a line each.
std::string header_text(const run_record& run);

/// Returns all cases of one family, P50 and P99 of both devices, speedup and break-even, and where
/// the GPU's time went. Every line with a figure of a simulated GPU says so.
std::string family_text(const run_record& run, const std::string& family);

/// Returns how the guide's figures of an A100 compare with what was measured; empty if none of the
/// cases that it needs were.
std::string guide_text(const run_record& run);

/// Returns a warning if other programs kept the machine busy meanwhile; else nothing.
std::string neighbours_text(const run_record& run);

/// Returns a line for each series and the cases that one side lacks.
std::string comparison_text(const comparison& all, const std::string& before,
                            const std::string& after);

} // namespace engram::bench
