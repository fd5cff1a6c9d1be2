#include "engram/devices/gpu_advice.hpp"
#include "engram/devices/gpu_discovery.hpp"
#include "engram/devices/nvml.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace engram {
namespace {

class real_gpus : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_EQ(survey.trouble, "");
    ASSERT_FALSE(survey.gpus.empty());
    ASSERT_EQ(source.trouble(), "");
  }

  gpu_survey survey = survey_gpus();
  nvml source;
};

TEST_F(real_gpus, are_the_same_to_the_driver_and_to_nvml) {
  for (const auto& gpu : survey.gpus) {
    const auto reading = source.read(gpu.pci_bus_id);
    ASSERT_TRUE(reading) << gpu.pci_bus_id;
    EXPECT_TRUE(reading->pci_bus_id && reading->pci_bus_id->ends_with(gpu.pci_bus_id.substr(4)))
        << gpu.pci_bus_id;
    EXPECT_TRUE(reading->driver_version);
    if (gpu.uuid.starts_with("MIG-")) continue; // a part of what NVML describes
    EXPECT_EQ(reading->uuid, gpu.uuid);
    EXPECT_EQ(reading->name, gpu.name);
    // CUDA leaves out what the driver keeps for itself.
    ASSERT_TRUE(reading->memory_total_bytes);
    EXPECT_GE(*reading->memory_total_bytes, gpu.memory_bytes);
    EXPECT_LT(static_cast<double>(*reading->memory_total_bytes),
              1.1 * static_cast<double>(gpu.memory_bytes));
  }
}

TEST_F(real_gpus, tell_figures_that_can_be_true) {
  for (const auto& gpu : source.read_all()) {
    if (gpu.utilization_gpu) {
      EXPECT_GE(*gpu.utilization_gpu, 0);
      EXPECT_LE(*gpu.utilization_gpu, 1);
    }
    if (gpu.memory_used_bytes) {
      EXPECT_LE(*gpu.memory_used_bytes, gpu.memory_total_bytes.value_or(0));
    }
    ASSERT_TRUE(gpu.temperature_celsius);
    EXPECT_GT(*gpu.temperature_celsius, 5U);
    EXPECT_LT(*gpu.temperature_celsius, gpu.shutdown_celsius.value_or(110));
    if (gpu.power_watts) {
      EXPECT_GT(*gpu.power_watts, 1);
      EXPECT_LT(*gpu.power_watts, 2000);
    }
    if (gpu.power_limit_watts && gpu.max_power_limit_watts) {
      EXPECT_LE(*gpu.power_limit_watts, *gpu.max_power_limit_watts);
    }
    if (gpu.sm_clock_mhz && gpu.max_sm_clock_mhz) {
      EXPECT_LE(*gpu.sm_clock_mhz, *gpu.max_sm_clock_mhz);
    }
    if (gpu.pcie_generation && gpu.max_pcie_generation) {
      EXPECT_LE(*gpu.pcie_generation, *gpu.max_pcie_generation);
    }
    for (const auto& each : advise(gpu))
      std::cout << each.sentence << "\n  " << each.command << '\n';
  }
}

} // namespace
} // namespace engram
