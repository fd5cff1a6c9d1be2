#include "engram/devices/cuda_properties.hpp"

#include "engram/devices/cuda_device.hpp"
#include "engram/devices/cuda_error.hpp"

#include <array>

namespace engram {

cuda_survey survey_cuda() {
  cuda_survey out;
  if (const auto code = cudaGetDeviceCount(&out.gpus); code != cudaSuccess) {
    cudaGetLastError();
    out.gpus = 0;
    out.trouble = std::string{"CUDA finds no GPU: "} + cudaGetErrorString(code);
  } else if (out.gpus == 0) {
    out.trouble = "CUDA finds no GPU";
  }
  return out;
}

result<cudaDeviceProp> cuda_properties(int ordinal) {
  const auto survey = survey_cuda();
  if (survey.gpus == 0) return unusable_gpu(ordinal, survey.trouble);
  if (ordinal < 0 || ordinal >= survey.gpus)
    return unusable_gpu(ordinal, "there are " + std::to_string(survey.gpus) + ", counted from 0");
  cudaDeviceProp properties{};
  if (auto fault =
          cuda_fault(cudaGetDeviceProperties(&properties, ordinal), "asking for its properties"))
    return unusable_gpu(ordinal, fault->message);
  if (properties.major * 10 + properties.minor < 75)
    return unusable_gpu(ordinal, std::string{properties.name} + " has compute capability " +
                                     std::to_string(properties.major) + '.' +
                                     std::to_string(properties.minor) + ", 7.5 is the least");
  return properties;
}

std::string pci_bus_id_of(int ordinal) {
  std::array<char, 32> text{};
  return cudaDeviceGetPCIBusId(text.data(), static_cast<int>(text.size()), ordinal) == cudaSuccess
             ? text.data()
             : "";
}

error unusable_gpu(int ordinal, const std::string& why) {
  return {ec::unavailable, "GPU " + std::to_string(ordinal) + " cannot be used: " + why};
}

} // namespace engram
