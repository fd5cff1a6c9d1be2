#pragma once

#include "engram/bench/gpu/record.hpp"

namespace engram::bench {

/// Returns a record without cases: this program, this machine, now, and `gpu`.
run_record begin_record(const gpu_description& gpu);

} // namespace engram::bench
