#pragma once

/// What a run of the benchmark leaves behind: the numbers that are printed, saved and compared.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace engram::bench {

/// What was measured of one case. Every series holds seconds, in the order they were taken:
///   "cpu"       from handing a batch to the CPU until its answer is there
///   "gpu"       the same on the GPU, host to host; or through the pipeline
///   "transfer", "kernel", "device"   the parts that the GPU reports of those same batches
/// A case that was not run on a device has no series of it.
struct case_record {
  std::string name;   ///< "cosine_similarity_cpu_vs_gpu/1024"
  std::string family; ///< "cosine_similarity_cpu_vs_gpu"
  std::string title;  ///< "Cosine Similarity, targets in the request (1024 vectors)"
  std::string unit;   ///< what `size` counts: "vectors", "ids", "nodes"; empty outside a sweep
  std::uint64_t size = 0;
  std::map<std::string, std::vector<double>> seconds;
  std::map<std::string, double> figures; ///< numbers derived in other ways, by name with unit
  std::string trouble; ///< why a series is missing, or what is wrong with it; empty if nothing is

  const std::vector<double>* series(const std::string& which) const {
    const auto found = seconds.find(which);
    return found == seconds.end() || found->second.empty() ? nullptr : &found->second;
  }

  friend bool operator==(const case_record&, const case_record&) = default;
};

struct gpu_description {
  std::string name;  ///< as asked for: "cuda:0", "sim:h100"
  std::string model; ///< "NVIDIA H100 80GB HBM3"
  std::string driver;
  std::uint64_t memory_bytes = 0;
  bool simulated = false;

  friend bool operator==(const gpu_description&, const gpu_description&) = default;
};

struct run_record {
  std::string version; ///< of Engram
  std::string commit;
  std::string taken; ///< when the run began, UTC
  std::string processor;
  std::uint32_t cores = 0;
  double cores_used_by_others = 0; ///< mean over the run
  std::string kernel;              ///< of the operating system
  std::string compiler;
  std::string instruction_set;
  gpu_description gpu;
  std::vector<case_record> cases;

  const case_record* find(const std::string& name) const {
    for (const auto& each : cases)
      if (each.name == name) return &each;
    return nullptr;
  }

  friend bool operator==(const run_record&, const run_record&) = default;
};

} // namespace engram::bench
