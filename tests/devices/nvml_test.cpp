#include "nvml_fixture.hpp"

namespace engram {
namespace {

using nvml_reader = test::pretended_nvml;

TEST_F(nvml_reader, says_what_a_card_tells_about_itself) {
  const nvml source{library};
  ASSERT_EQ(source.trouble(), "");
  const auto all = source.read_all();
  ASSERT_EQ(all.size(), 2U);
  const auto& gpu = all[0];
  EXPECT_EQ(gpu.index, 0U);
  EXPECT_EQ(gpu.name, "Pretended GPU");
  EXPECT_EQ(gpu.uuid, "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f");
  EXPECT_EQ(gpu.pci_bus_id, "00000000:07:00.0");
  EXPECT_EQ(gpu.driver_version, "580.65.06");
  EXPECT_EQ(gpu.utilization_gpu, 0.37);
  EXPECT_EQ(gpu.utilization_memory, 0.12);
  EXPECT_EQ(gpu.memory_used_bytes, 4ULL << 30);
  EXPECT_EQ(gpu.memory_total_bytes, 80ULL << 30);
  EXPECT_EQ(gpu.temperature_celsius, 61U);
  EXPECT_EQ(gpu.slowdown_celsius, 87U);
  EXPECT_EQ(gpu.shutdown_celsius, 92U);
  EXPECT_EQ(gpu.power_watts, 312.5);
  EXPECT_EQ(gpu.power_limit_watts, 500.0);
  EXPECT_EQ(gpu.default_power_limit_watts, 700.0);
  EXPECT_EQ(gpu.min_power_limit_watts, 200.0);
  EXPECT_EQ(gpu.max_power_limit_watts, 750.0);
  EXPECT_EQ(gpu.sm_clock_mhz, 1410U);
  EXPECT_EQ(gpu.max_sm_clock_mhz, 1980U);
  EXPECT_EQ(gpu.memory_clock_mhz, 2619U);
  EXPECT_EQ(gpu.max_memory_clock_mhz, 2619U);
  EXPECT_EQ(gpu.pcie_generation, 4U);
  EXPECT_EQ(gpu.pcie_width, 8U);
  EXPECT_EQ(gpu.max_pcie_generation, 4U);
  EXPECT_EQ(gpu.max_pcie_width, 16U);
  EXPECT_EQ(gpu.card_pcie_generation, 5U);
  EXPECT_EQ(gpu.ecc_enabled, true);
  EXPECT_EQ(gpu.ecc_uncorrected, 2U);
  EXPECT_EQ(gpu.mig_enabled, false);
  EXPECT_EQ(gpu.persistence_mode, false);
}

TEST_F(nvml_reader, names_the_reasons_and_ignores_those_of_the_future) {
  const nvml source{library};
  const auto gpu = source.read("0000:07:00.0");
  ASSERT_TRUE(gpu && gpu->throttled_by);
  for (std::size_t r = 0; r < throttle_reason_count; ++r) {
    const auto reason = static_cast<throttle_reason>(r);
    EXPECT_EQ(has(*gpu->throttled_by, reason), to_string(reason) == "sw_power_cap")
        << to_string(reason);
  }
}

/// Expects that `gpu` tells nothing but, perhaps, who it is.
void expect_no_figures(const gpu_reading& gpu) {
  EXPECT_FALSE(gpu.uuid);
  EXPECT_FALSE(gpu.utilization_gpu || gpu.utilization_memory);
  EXPECT_FALSE(gpu.memory_used_bytes || gpu.memory_total_bytes);
  EXPECT_FALSE(gpu.temperature_celsius || gpu.slowdown_celsius || gpu.shutdown_celsius);
  EXPECT_FALSE(gpu.power_watts || gpu.power_limit_watts || gpu.default_power_limit_watts);
  EXPECT_FALSE(gpu.min_power_limit_watts || gpu.max_power_limit_watts);
  EXPECT_FALSE(gpu.sm_clock_mhz || gpu.max_sm_clock_mhz);
  EXPECT_FALSE(gpu.memory_clock_mhz || gpu.max_memory_clock_mhz || gpu.throttled_by);
  EXPECT_FALSE(gpu.pcie_generation || gpu.pcie_width || gpu.card_pcie_generation);
  EXPECT_FALSE(gpu.max_pcie_generation || gpu.max_pcie_width);
  EXPECT_FALSE(gpu.ecc_enabled || gpu.ecc_uncorrected || gpu.mig_enabled || gpu.persistence_mode);
}

TEST_F(nvml_reader, leaves_out_what_a_card_does_not_support) {
  const nvml source{library};
  const auto gpu = source.read("0000:0A:00.0");
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->index, 1U);
  EXPECT_EQ(gpu->name, "Another one");
  EXPECT_EQ(gpu->pci_bus_id, "00000000:0A:00.0");
  expect_no_figures(*gpu);
}

TEST_F(nvml_reader, leaves_out_what_an_old_library_lacks) {
  const nvml source{old_library};
  ASSERT_EQ(source.trouble(), "");
  const auto all = source.read_all();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].index, 1U);
  EXPECT_FALSE(all[0].name || all[0].pci_bus_id || all[0].driver_version);
  expect_no_figures(all[0]);
}

TEST_F(nvml_reader, knows_no_gpu_at_another_place) {
  const nvml source{library};
  EXPECT_FALSE(source.read("0000:08:00.0"));
  EXPECT_FALSE(source.read(""));
}

TEST_F(nvml_reader, says_why_it_does_not_start) {
  pretend("does not start");
  const nvml source{library};
  EXPECT_EQ(source.trouble(), "NVML does not start: Driver Not Loaded");
  EXPECT_TRUE(source.read_all().empty());
  EXPECT_FALSE(source.read("0000:07:00.0"));
}

TEST_F(nvml_reader, says_that_there_is_no_library) {
  const nvml source{"/nowhere/libnvidia-ml.so.1"};
  EXPECT_EQ(source.trouble(), "there is no NVML (/nowhere/libnvidia-ml.so.1) on this machine");
  EXPECT_TRUE(source.read_all().empty());
}

TEST_F(nvml_reader, refuses_a_library_that_is_something_else) {
  const nvml source{"libc.so.6"};
  EXPECT_EQ(source.trouble(), "the NVML library libc.so.6 is older than this program knows");
}

TEST_F(nvml_reader, shuts_down_what_it_started) {
  {
    const nvml source{library};
    EXPECT_EQ(users(), 1);
  }
  EXPECT_EQ(users(), 0);
}

} // namespace
} // namespace engram
