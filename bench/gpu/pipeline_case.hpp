#pragma once

#include "engram/bench/gpu/case_runner.hpp"

namespace engram::bench {

/// Sends the requests of `what` through a pipeline of its own, host query in, host result out, and
/// fills `into`: series "gpu" (submit to answer), figures "gpu_share" of the answers,
/// "requests_per_second" and "vectors_per_second".
result<void> run_pipeline_case(const bench_case& what, const run_settings& settings,
                               dataset_shelf& shelf, case_record& into);

} // namespace engram::bench
