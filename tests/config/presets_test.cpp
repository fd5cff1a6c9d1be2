#include "engram/config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "effective.hpp"

namespace engram {
namespace {

/// What a preset promises by the guide's tables.
struct preset_promise {
  std::string name;
  std::uint32_t min_batch_size;
  double vram_safety_margin;
  double speedup_threshold;
  double success_rate_threshold;
  std::uint32_t window;
  double max_wait_ms;
  std::uint32_t target_batch_size;
};

const std::vector<preset_promise>& promises() {
  static const std::vector<preset_promise> all{
      {"consumer-high-throughput", 64, 0.8, 1.3, 0.95, 200, 20, 256},
      {"consumer-low-latency", 128, 0.8, 2.0, 0.98, 100, 5, 64},
      {"consumer-mixed", 96, 0.8, 1.5, 0.95, 150, 10, 128},
      {"datacenter-high-throughput", 32, 0.7, 1.2, 0.95, 500, 20, 256},
      {"datacenter-low-latency", 64, 0.8, 1.5, 0.98, 200, 5, 64},
      {"datacenter-mixed", 48, 0.8, 1.3, 0.95, 100, 10, 128},
      {"rtx3060", 64, 0.75, 1.4, 0.95, 100, 10, 128},
      {"t4", 80, 0.8, 1.5, 0.95, 100, 10, 128},
      {"a100", 32, 0.7, 1.2, 0.95, 100, 10, 128},
      {"h100", 1, 0.8, 1.2, 0.95, 100, 10, 128},
      {"vram-4gb", 64, 0.85, 1.5, 0.95, 100, 10, 128},
      {"vram-8gb", 64, 0.8, 1.5, 0.95, 100, 10, 128},
      {"vram-12gb", 64, 0.75, 1.5, 0.95, 100, 10, 128},
      {"scenario-real-time-recommendation", 96, 0.8, 2.0, 0.98, 100, 5, 128},
      {"scenario-batch-etl", 64, 0.7, 1.2, 0.95, 100, 20, 4096},
      {"scenario-multi-tenant-saas", 64, 0.85, 1.5, 0.95, 100, 10, 128},
  };
  return all;
}

TEST(presets, carry_the_numbers_of_the_guide) {
  for (const auto& each : promises()) {
    const auto loaded =
        load_configuration({.preset = each.name, .file = {}, .environment = {}, .flags = {}});
    ASSERT_TRUE(loaded) << loaded.error().message;
    const auto& values = loaded->values.pipeline;
    EXPECT_EQ(values.gpu.gpu_min_batch_size, each.min_batch_size) << each.name;
    EXPECT_EQ(values.gpu.vram_safety_margin, each.vram_safety_margin) << each.name;
    EXPECT_EQ(values.gpu.thresholds.gpu_speedup_threshold, each.speedup_threshold) << each.name;
    EXPECT_EQ(values.gpu.thresholds.gpu_success_rate_threshold, each.success_rate_threshold)
        << each.name;
    EXPECT_EQ(values.gpu.telemetry.performance_window_size, each.window) << each.name;
    EXPECT_EQ(values.batching.max_wait_ms, each.max_wait_ms) << each.name;
    EXPECT_EQ(values.batching.target_batch_size, each.target_batch_size) << each.name;
    EXPECT_TRUE(values.gpu.enabled && !values.gpu.force_cpu_mode &&
                values.gpu.telemetry.telemetry_enabled)
        << each.name;
  }
}

TEST(presets, change_only_the_keys_that_the_guide_tunes) {
  const std::set<std::string> tuned{"gpu.gpu_min_batch_size",
                                    "gpu.vram_safety_margin",
                                    "gpu.thresholds.gpu_speedup_threshold",
                                    "gpu.thresholds.gpu_success_rate_threshold",
                                    "gpu.telemetry.performance_window_size",
                                    "gpu.host.late_timeout_ms", // of h100, measured
                                    "batching.max_wait_ms",
                                    "batching.target_batch_size"};
  for (const auto& each : all_presets()) {
    const auto loaded = parse_configuration(each.toml, each.name);
    ASSERT_TRUE(loaded) << loaded.error().message;
    for (const auto& [key, value] : changed_values(loaded->values))
      EXPECT_TRUE(tuned.contains(key)) << each.name << ": " << key;
    EXPECT_FALSE(each.summary.empty()) << each.name;
  }
}

TEST(presets, are_all_promised) {
  std::vector<std::string> promised;
  for (const auto& each : promises())
    promised.push_back(each.name);
  std::vector<std::string> present;
  for (const auto& each : all_presets())
    present.push_back(each.name);
  EXPECT_EQ(present, promised);
}

TEST(presets, that_are_unknown_are_refused) {
  const auto loaded =
      load_configuration({.preset = "quantum", .file = {}, .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::invalid_argument);
  EXPECT_EQ(loaded.error().message,
            "preset \"quantum\" is unknown; `engram config presets` lists them");
}

} // namespace
} // namespace engram
