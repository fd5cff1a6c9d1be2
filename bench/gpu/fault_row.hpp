#pragma once

#include "engram/bench/gpu/fault_kind.hpp"
#include "engram/bench/gpu/load_options.hpp"
#include "engram/bench/gpu/query_set.hpp"
#include "engram/bench/gpu/steady_load.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram::bench {

/// How the rows of the table are measured.
struct recovery_settings : load_settings {
  std::string gpu = "cuda:0"; ///< "cuda:<number>" or "sim:<profile>"
  double wait_ms = 1;         ///< batching.max_wait_ms
  double late_ms = 1;         ///< gpu.host.late_timeout_ms
  std::uint32_t cpu_threads = 0;
  duration warm_up = std::chrono::seconds{2};
  duration between = std::chrono::milliseconds{50}; ///< healthy time before each fault
  duration patience = std::chrono::seconds{60};     ///< for the GPU's return
  duration cpu_only = std::chrono::seconds{5};      ///< length of the run without a GPU
};

/// One row of the table.
struct recovery_row {
  std::string fault; ///< "trap", "trap/cold"
  fault_kind kind;
  bool cold = false;
  std::uint32_t wanted = 0; ///< faults that were to happen
  std::uint32_t happened = 0;
  std::uint32_t unseen = 0;             ///< the pipeline did not call the GPU lost
  std::vector<double> detect_seconds;   ///< fault to "lost", an upper bound (see measure_row)
  std::vector<double> back_seconds;     ///< "lost" to the first answer of the GPU as primary
  std::optional<double> uploaded_bytes; ///< resident data sent to the GPU again; nothing: not told
  load_outcome load;
  latency_summary in_faults;          ///< callers from each fault to the GPU's return
  std::vector<time_span> fault_spans; ///< these
  std::string trouble;                ///< why the row is not whole; empty if it is
};

/// The name of the dataset that the loads ask about.
inline constexpr const char* recovery_dataset = "vectors";

/// Returns the options of the pipeline that is measured.
pipeline_options recovery_options(const recovery_settings& settings, bool cold);

/// Returns the callers' latencies of the same load on the CPU alone. Its outcome is clean or an
/// error.
result<latency_summary> measure_cpu_only(const recovery_settings& settings,
                                         const collection_ptr& data, const query_set& queries);

/// Starts a pipeline and a load, makes the faults of `plan` happen one after the other, each when
/// the GPU serves again and (but for cold rows) a standby is ready, and returns what came of it. A
/// fault begins when its fault point was last seen not to have fired, or just before the signal.
recovery_row measure_row(const recovery_settings& settings, const fault_plan& plan,
                         const collection_ptr& data, const query_set& queries);

/// Returns the sum of the samples of `metric` whose labels contain `label` in a text of Prometheus'
/// format; nothing if there is none.
std::optional<double> metric_value(std::string_view text, std::string_view metric,
                                   std::string_view label);

} // namespace engram::bench
