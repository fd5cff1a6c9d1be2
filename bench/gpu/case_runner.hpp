#pragma once

#include "engram/bench/gpu/bench_case.hpp"
#include "engram/bench/gpu/bench_devices.hpp"
#include "engram/bench/gpu/device_runner.hpp"
#include "engram/bench/gpu/record.hpp"
#include "engram/bench/gpu/workload.hpp"

namespace engram::bench {

struct run_settings {
  std::string gpu = "cuda:0";
  bool skip_cpu = false;
  bool pin_threads = false;      ///< in the pipeline cases
  std::uint32_t cpu_threads = 0; ///< 0: one for each core
  repeat_limits limits;
};

/// Runs cases one by one. What goes wrong with a case stands in its record. Not thread-safe.
class case_runner {
public:
  case_runner(bench_devices& devices, run_settings settings)
      : devices_(devices), settings_(std::move(settings)) {}
  ~case_runner();

  case_record run(const bench_case& what);

private:
  void vacate();
  result<dataset_ptr> prepare(const work_shape& shape);
  result<void> compare(const bench_case& what, case_record& into);
  result<void> hop(const bench_case& what, case_record& into);
  result<void> add_gpu(const work_shape& shape, const dataset_ptr& data, case_record& into,
                       std::vector<item_output>& first_answer);

  bench_devices& devices_;
  run_settings settings_;
  dataset_shelf shelf_;
  dataset_ptr resident_; ///< what the GPU holds
};

} // namespace engram::bench
