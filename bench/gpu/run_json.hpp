#pragma once

#include "engram/base/error.hpp"
#include "engram/bench/gpu/record.hpp"

#include <string>
#include <string_view>

namespace engram::bench {

/// Returns `run` as JSON, with the numbers that are derived from it (P50, P99, speedup, break-even,
/// shares) beside what was taken.
std::string to_json(const run_record& run);

/// Reads it back; derived numbers are not read. `invalid_argument` says in one sentence what is
/// wrong with `text`.
result<run_record> run_from_json(std::string_view text);

} // namespace engram::bench
