#include "engram/actors/metrics.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace engram {
namespace {

std::string text_of(std::vector<gpu_sample> samples) {
  metrics numbers{{"cpu", "gpu0"}};
  metrics::snapshot now;
  now.samples = std::move(samples);
  return numbers.to_text(now);
}

gpu_reading busy() {
  gpu_reading gpu;
  gpu.index = 2;
  gpu.name = "NVIDIA H100 80GB HBM3";
  gpu.uuid = "GPU-1";
  gpu.pci_bus_id = "00000000:07:00.0";
  gpu.driver_version = "580.65.06";
  gpu.utilization_gpu = 0.37;
  gpu.utilization_memory = 0.12;
  gpu.memory_used_bytes = 1024;
  gpu.memory_total_bytes = 2048;
  gpu.temperature_celsius = 61;
  gpu.power_watts = 312.5;
  gpu.power_limit_watts = 700;
  gpu.sm_clock_mhz = 1410;
  gpu.max_sm_clock_mhz = 1980;
  gpu.memory_clock_mhz = 1593;
  gpu.max_memory_clock_mhz = 2619;
  gpu.throttled_by = throttle_reasons{1ULL << 2};
  gpu.pcie_generation = 5;
  gpu.pcie_width = 16;
  gpu.ecc_uncorrected = 0;
  return gpu;
}

TEST(gpu_gauges, show_what_was_sampled_in_base_units) {
  const auto text = text_of({{"0", busy()}});
  for (const auto* line : {
           "# TYPE nvidia_smi_utilization_gpu_ratio gauge",
           "nvidia_smi_utilization_gpu_ratio{gpu=\"0\"} 0.37",
           "nvidia_smi_utilization_memory_ratio{gpu=\"0\"} 0.12",
           "nvidia_smi_memory_used_bytes{gpu=\"0\"} 1024",
           "nvidia_smi_memory_total_bytes{gpu=\"0\"} 2048",
           "nvidia_smi_temperature_celsius{gpu=\"0\"} 61",
           "nvidia_smi_power_draw_watts{gpu=\"0\"} 312.5",
           "nvidia_smi_power_limit_watts{gpu=\"0\"} 700",
           "nvidia_smi_clocks_current_sm_clock_hz{gpu=\"0\"} 1410000000",
           "nvidia_smi_clocks_max_sm_clock_hz{gpu=\"0\"} 1980000000",
           "nvidia_smi_clocks_current_memory_clock_hz{gpu=\"0\"} 1593000000",
           "nvidia_smi_clocks_max_memory_clock_hz{gpu=\"0\"} 2619000000",
           "nvidia_smi_throttle_reason{gpu=\"0\",reason=\"sw_power_cap\"} 1",
           "nvidia_smi_throttle_reason{gpu=\"0\",reason=\"hw_thermal_slowdown\"} 0",
           "nvidia_smi_pcie_link_gen_current{gpu=\"0\"} 5",
           "nvidia_smi_pcie_link_width_current{gpu=\"0\"} 16",
           "nvidia_smi_ecc_errors_uncorrected{gpu=\"0\"} 0",
           "nvidia_smi_gpu_info{gpu=\"0\",index=\"2\",name=\"NVIDIA H100 80GB "
           "HBM3\",uuid=\"GPU-1\","
           "pci_bus_id=\"00000000:07:00.0\",driver_version=\"580.65.06\"} 1",
       })
    EXPECT_NE(text.find(std::string{line} + '\n'), std::string::npos) << line << '\n' << text;
}

TEST(gpu_gauges, have_no_series_for_what_a_gpu_does_not_tell) {
  gpu_reading silent;
  silent.index = 1;
  silent.temperature_celsius = 40;
  const auto text = text_of({{"0", busy()}, {"1", silent}});
  EXPECT_NE(text.find("nvidia_smi_temperature_celsius{gpu=\"1\"} 40\n"), std::string::npos);
  EXPECT_EQ(text.find("nvidia_smi_power_draw_watts{gpu=\"1\"}"), std::string::npos);
  EXPECT_EQ(text.find("nvidia_smi_throttle_reason{gpu=\"1\""), std::string::npos);
}

TEST(gpu_gauges, are_gone_without_samples) {
  EXPECT_EQ(text_of({}).find("nvidia_smi_"), std::string::npos);
}

} // namespace
} // namespace engram
