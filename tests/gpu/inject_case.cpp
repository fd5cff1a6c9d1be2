#include "engram/tests/gpu/inject_case.hpp"

#include <driver_types.h>
#include <nlohmann/json.hpp>

#include <array>
#include <string_view>

namespace engram::inject {

namespace {

struct code_name {
  std::string_view name;
  cudaError_t code;
};
constexpr std::array codes{
    code_name{"out_of_memory", cudaErrorMemoryAllocation},
    code_name{"invalid_value", cudaErrorInvalidValue},
    code_name{"launch_failure", cudaErrorLaunchFailure},
    code_name{"illegal_address", cudaErrorIllegalAddress},
    code_name{"unknown", cudaErrorUnknown},
    code_name{"ecc", cudaErrorECCUncorrectable},
    code_name{"no_device", cudaErrorNoDevice},
    code_name{"not_permitted", cudaErrorNotPermitted},
    code_name{"timeout", cudaErrorLaunchTimeout},
};

struct extent {
  std::string_view name;
  std::vector<std::string> calls;
  double percent;
  double after_ms;
};

/// How long a process needs to get ready: what is substituted earlier belongs to "start".
constexpr double settled_ms = 1'500;

} // namespace

std::string inject_case::config(const std::string& log) const {
  // Processes of one GPU would otherwise all die at the same call.
  const nlohmann::json file{
      {"seed", 1},
      {"seed_by_process", true},
      {"log", log},
      {"rules",
       {{{"calls", calls}, {"error", code}, {"percent", percent}, {"after_ms", after_ms}}}}};
  return file.dump(2) + '\n';
}

std::vector<inject_case> inject_cases() {
  const std::vector<extent> extents{
      {"all", {"*"}, 1, settled_ms},
      {"named",
       {"cudaLaunchKernel", "cudaLaunchCooperativeKernel", "cudaGraphLaunch",
        "cudaGraphInstantiate", "cudaMemcpyAsync", "cudaMemsetAsync", "cudaEventRecord",
        "cudaEventQuery", "cudaEventSynchronize", "cudaStreamSynchronize", "cudaMalloc",
        "cudaHostAlloc"},
       20,
       settled_ms},
      {"start", {"*"}, 3, 0},
  };
  std::vector<inject_case> cases;
  for (const auto& each : extents)
    for (const auto& code : codes)
      cases.push_back({std::string{each.name} + '/' + std::string{code.name}, each.calls,
                       static_cast<int>(code.code), each.percent, each.after_ms});
  return cases;
}

} // namespace engram::inject
