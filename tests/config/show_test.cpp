#include "engram/config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "effective.hpp"

namespace engram {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(to_toml, loads_to_the_same_values) {
  configuration unusual;
  auto& values = unusual.values;
  values.pipeline.gpu.devices = {"0", "sim:h100"};
  values.pipeline.gpu.vram_safety_margin = 0.1 + 0.2;
  values.pipeline.gpu.isolation = "process";
  values.pipeline.batching.max_wait_ms = 1e-200;
  values.pipeline.faults.points = {"gpu0.launch=5%return(transient)->off", "a=\"b\\\n\""};
  values.server.host = "::1";
  values.server.max_body_bytes = 1ull << 32;
  values.datasets.directory = "/data/caf\xc3\xa9";
  values.datasets.load = {"wordnet@2"};
  for (const auto& each : {configuration{}, unusual}) {
    const auto text = to_toml(each);
    const auto again = parse_configuration(text, "shown.toml");
    ASSERT_TRUE(again) << again.error().message << '\n' << text;
    EXPECT_EQ(all_values(again->values), all_values(each.values));
    EXPECT_EQ(to_toml({again->values, each.origins}), text);
  }
}

TEST(to_toml, explains_every_key) {
  const auto loaded = parse_configuration("[gpu]\nmin_batch_size = 32", "e.toml");
  ASSERT_TRUE(loaded);
  const auto text = to_toml(*loaded);
  EXPECT_THAT(text, HasSubstr("[gpu]\n"));
  EXPECT_THAT(text, HasSubstr("# smallest batch, in items, that may use a GPU; allowed: "
                              "1..1000000; from: e.toml:2\ngpu_min_batch_size = 32\n"));
  for (const auto& each : all_keys())
    EXPECT_THAT(text, HasSubstr("# " + each.meaning + "; allowed: " + each.allowed));
}

TEST(config_template, sets_nothing_and_with_its_keys_set_changes_nothing) {
  const auto text = config_template();
  auto all_set = text;
  for (std::size_t at = 0; (at = all_set.find("\n#", at)) != std::string::npos; ++at)
    if (all_set[at + 2] != ' ') all_set.erase(at + 1, 1);
  for (const auto& each : {text, all_set}) {
    const auto loaded = parse_configuration(each, "engram.toml");
    ASSERT_TRUE(loaded) << loaded.error().message << '\n' << each;
    EXPECT_EQ(all_values(loaded->values), all_values(options{}));
  }
  const auto origins = parse_configuration(all_set, "engram.toml")->origins;
  for (const auto& each : all_keys())
    EXPECT_THAT(origins.at(each.key), HasSubstr("engram.toml:"));
}

TEST(value_of, knows_keys_and_aliases_and_nothing_else) {
  options values;
  values.pipeline.gpu.gpu_min_batch_size = 7;
  EXPECT_EQ(value_of(values, "gpu.gpu_min_batch_size"), "7");
  EXPECT_EQ(value_of(values, "gpu.min_batch_size"), "7");
  EXPECT_EQ(value_of(values, "gpu.devices"), "[\"auto\"]");
  EXPECT_EQ(value_of(values, "datasets.load"), "[]");
  EXPECT_EQ(value_of(values, "gpu.turbo"), "");
}

TEST(restart_needed, names_the_keys_that_cannot_change_live) {
  const options from;
  auto to = from;
  EXPECT_THAT(restart_needed(from, to), IsEmpty());
  to.pipeline.batching.max_wait_ms = 1;
  to.pipeline.gpu.gpu_min_batch_size = 2;
  to.pipeline.gpu.telemetry.performance_window_size = 50;
  EXPECT_THAT(restart_needed(from, to), IsEmpty());
  to.pipeline.gpu.devices = {"0"};
  to.server.port = 0;
  EXPECT_THAT(restart_needed(from, to), ElementsAre("gpu.devices", "server.port"));
  EXPECT_THAT(restart_needed(to, from), ElementsAre("gpu.devices", "server.port"));
}

TEST(complaint, finds_nothing_wrong_with_the_defaults) {
  EXPECT_EQ(complaint(options{}), std::nullopt);
  EXPECT_EQ(complaint(pipeline_options{}), std::nullopt);
}

TEST(complaint, lists_every_value_set_in_code_that_is_not_allowed) {
  pipeline_options values;
  values.gpu.gpu_min_batch_size = 0;
  values.gpu.devices = {};
  values.gpu.vram_safety_margin = std::numeric_limits<double>::quiet_NaN();
  values.gpu.breaker.cool_down_ms = 2'000;
  values.gpu.breaker.max_cool_down_ms = 1'000;
  values.batching.max_wait_ms = -1;
  EXPECT_EQ(complaint(values),
            "gpu.gpu_min_batch_size = 0 is out of range: allowed 1..1000000\n"
            "gpu.vram_safety_margin = nan is out of range: allowed 0.1..1\n"
            "gpu.devices = [] is empty (gpu.enabled = false turns GPUs off): allowed \"auto\", or "
            "CUDA ordinals (0) and simulated GPUs (\"sim:rtx3060\", \"sim:t4\", \"sim:a100\", "
            "\"sim:h100\")\n"
            "batching.max_wait_ms = -1 is out of range: allowed 0..1000\n"
            "gpu.breaker.cool_down_ms = 2000 is above gpu.breaker.max_cool_down_ms = 1000; lower "
            "the one or raise the other");
}

TEST(complaint, is_not_fooled_by_an_integer_past_63_bits) {
  options values;
  values.server.max_body_bytes = std::numeric_limits<std::uint64_t>::max();
  EXPECT_EQ(complaint(values), "server.max_body_bytes = 9223372036854775807 is out of range: "
                               "allowed 1024..4294967296");
}

} // namespace
} // namespace engram
