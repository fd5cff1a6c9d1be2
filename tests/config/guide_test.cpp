// Each configuration block of the tuning guide, as the guide spells its keys.

#include "engram/config/load.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "effective.hpp"

namespace engram {
namespace {

struct block {
  std::string name;
  values_by_key expected; ///< what is not the default
};

// For gtest, which would print the bytes otherwise.
void PrintTo(const block& which, std::ostream* out) {
  *out << which.name;
}

std::string block_name(const testing::TestParamInfo<block>& test) {
  auto name = test.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class guide_block : public testing::TestWithParam<block> {};

TEST_P(guide_block, loads_and_sets_what_it_says_and_nothing_else) {
  const auto file = std::string{ENGRAM_CONFIG_TESTS} + "/guide/" + GetParam().name + ".toml";
  const auto loaded =
      load_configuration({.preset = {}, .file = file, .environment = {}, .flags = {}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(changed_values(loaded->values), GetParam().expected);
}

const std::string min_batch = "gpu.gpu_min_batch_size";
const std::string margin = "gpu.vram_safety_margin";
const std::string speedup = "gpu.thresholds.gpu_speedup_threshold";
const std::string success_rate = "gpu.thresholds.gpu_success_rate_threshold";
const std::string window = "gpu.telemetry.performance_window_size";

// A value that a block sets to the default (64, 0.8, 1.5, 0.95, 100) does not show.
INSTANTIATE_TEST_SUITE_P(
    all, guide_block,
    testing::Values(block{"consumer-high-throughput", {{speedup, "1.3"}, {window, "200"}}},
                    block{"consumer-low-latency",
                          {{min_batch, "128"}, {speedup, "2"}, {success_rate, "0.98"}}},
                    block{"consumer-mixed", {{min_batch, "96"}, {window, "150"}}},
                    block{"datacenter-high-throughput",
                          {{min_batch, "32"}, {margin, "0.7"}, {speedup, "1.2"}, {window, "500"}}},
                    block{"datacenter-low-latency", {{success_rate, "0.98"}, {window, "200"}}},
                    block{"rtx3060", {{margin, "0.75"}, {speedup, "1.4"}}},
                    block{"a100", {{min_batch, "32"}, {margin, "0.7"}, {speedup, "1.2"}}},
                    block{"t4", {{min_batch, "80"}}},
                    block{"scenario-real-time-recommendation",
                          {{min_batch, "96"}, {speedup, "2"}, {success_rate, "0.98"}}},
                    block{"scenario-batch-etl", {{margin, "0.7"}, {speedup, "1.2"}}},
                    block{"scenario-multi-tenant-saas", {{margin, "0.85"}}}),
    block_name);

} // namespace
} // namespace engram
