#include "engram/config/load.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "effective.hpp"

namespace engram {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Pair;

/// A file that lives as long as the test.
class temporary_file {
public:
  explicit temporary_file(const std::string& text) {
    std::string name = testing::TempDir() + "engram-config-XXXXXX";
    const int descriptor = mkstemp(name.data());
    EXPECT_NE(descriptor, -1);
    close(descriptor);
    path_ = name;
    std::ofstream{path_} << text;
  }
  ~temporary_file() { std::filesystem::remove(path_); }
  temporary_file(const temporary_file&) = delete;
  temporary_file& operator=(const temporary_file&) = delete;

  const std::filesystem::path& path() const { return path_; }

private:
  std::filesystem::path path_;
};

config_sources from_environment(std::vector<std::pair<std::string, std::string>> variables) {
  return {.preset = {}, .file = {}, .environment = std::move(variables), .flags = {}};
}

config_sources from_flags(std::vector<std::pair<std::string, std::string>> flags) {
  return {.preset = {}, .file = {}, .environment = {}, .flags = std::move(flags)};
}

TEST(sources, none_gives_the_defaults) {
  const auto loaded = load_configuration({});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(changed_values(loaded->values), values_by_key{});
  EXPECT_EQ(loaded->origins.size(), all_keys().size());
  for (const auto& [key, origin] : loaded->origins)
    EXPECT_EQ(origin, "default") << key;
}

TEST(sources, the_later_wins_and_every_value_says_where_it_came_from) {
  const temporary_file file{"[gpu]\nmin_batch_size = 2\nvram_safety_margin = 0.2\n"
                            "[gpu.thresholds]\nspeedup_threshold = 2\n"};
  const auto loaded = load_configuration(
      {.preset = "datacenter-high-throughput",
       .file = file.path(),
       .environment = {{"ENGRAM_GPU_MIN_BATCH_SIZE", "3"}, {"ENGRAM_VRAM_SAFETY_MARGIN", "0.3"}},
       .flags = {{"vram-safety-margin", "0.4"}}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto& gpu = loaded->values.pipeline.gpu;
  EXPECT_EQ(gpu.telemetry.performance_window_size, 500u);
  EXPECT_EQ(gpu.thresholds.gpu_speedup_threshold, 2.0);
  EXPECT_EQ(gpu.gpu_min_batch_size, 3u);
  EXPECT_EQ(gpu.vram_safety_margin, 0.4);
  EXPECT_EQ(gpu.streams, 4u);

  const auto& origins = loaded->origins;
  EXPECT_EQ(origins.at("gpu.streams"), "default");
  EXPECT_EQ(origins.at("gpu.telemetry.performance_window_size"),
            "preset datacenter-high-throughput");
  EXPECT_EQ(origins.at("gpu.thresholds.gpu_speedup_threshold"), file.path().string() + ":5");
  EXPECT_EQ(origins.at("gpu.gpu_min_batch_size"), "environment ENGRAM_GPU_MIN_BATCH_SIZE");
  EXPECT_EQ(origins.at("gpu.vram_safety_margin"), "flag --vram_safety_margin");
}

TEST(sources, all_report_their_mistakes_at_once) {
  const temporary_file file{"batching.max_wait_ms = -1\n"};
  const auto loaded = load_configuration({.preset = "a1000",
                                          .file = file.path(),
                                          .environment = {{"ENGRAM_MAX_WAIT", "5"}},
                                          .flags = {{"streams", "many"}}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::invalid_argument);
  EXPECT_EQ(loaded.error().message,
            "preset \"a1000\" is unknown; did you mean a100?\n" + file.path().string() +
                ":1: batching.max_wait_ms = -1 is out of range: allowed 0..1000\n"
                "environment: ENGRAM_MAX_WAIT = \"5\" is not a key; did you mean "
                "ENGRAM_MAX_WAIT_MS?\n"
                "command line: --streams = many is not an integer: allowed 1..32");
}

TEST(sources, a_later_one_may_use_the_alias_of_an_earlier_ones_key) {
  const temporary_file file{"[gpu]\nmin_batch_size = 2\n"};
  const auto loaded =
      load_configuration({.preset = "a100", .file = file.path(), .environment = {}, .flags = {}});
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->values.pipeline.gpu.gpu_min_batch_size, 2u);
}

TEST(file, that_is_missing_is_not_found) {
  const auto loaded = load_configuration(
      {.preset = {}, .file = "/nowhere/engram.toml", .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::not_found);
  EXPECT_EQ(loaded.error().message, "/nowhere/engram.toml: there is no such file; name one that "
                                    "exists, or none to use the defaults");
}

TEST(file, that_is_a_directory_is_refused) {
  const auto loaded =
      load_configuration({.preset = {}, .file = "/tmp", .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::invalid_argument);
  EXPECT_EQ(loaded.error().message, "/tmp: is a directory; name a TOML file");
}

TEST(file, that_never_ends_is_refused) {
  const auto loaded =
      load_configuration({.preset = {}, .file = "/dev/zero", .environment = {}, .flags = {}});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "/dev/zero: longer than 64 KiB, which no configuration is");
}

TEST(file, may_be_empty_and_may_have_windows_line_ends_and_a_byte_order_mark) {
  for (const std::string text : {"", "\xef\xbb\xbf[gpu]\r\nstreams = 4\r\n"}) {
    const temporary_file file{text};
    const auto loaded =
        load_configuration({.preset = {}, .file = file.path(), .environment = {}, .flags = {}});
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(changed_values(loaded->values), values_by_key{});
  }
}

TEST(environment, sets_every_kind_of_value) {
  const auto loaded = load_configuration(
      from_environment({{"ENGRAM_GPU_ENABLED", "false"},
                        {"ENGRAM_ADAPTIVE", "1"},
                        {"ENGRAM_GPU_MIN_BATCH_SIZE", "32"},
                        {"ENGRAM_MAX_WAIT_MS", "2.5"},
                        {"ENGRAM_ISOLATION", "none"},
                        {"ENGRAM_GPU_DEVICES", "0,sim:h100"},
                        {"ENGRAM_POINTS", "gpu0.launch=2*return(sticky),cpu.run=delay(1ms,2)"}}));
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto& values = loaded->values.pipeline;
  EXPECT_FALSE(values.gpu.enabled);
  EXPECT_TRUE(values.batching.adaptive);
  EXPECT_EQ(values.gpu.gpu_min_batch_size, 32u);
  EXPECT_EQ(values.batching.max_wait_ms, 2.5);
  EXPECT_EQ(values.gpu.isolation, "none");
  EXPECT_THAT(values.gpu.devices, ElementsAre("0", "sim:h100"));
  EXPECT_THAT(values.faults.points,
              ElementsAre("gpu0.launch=2*return(sticky)", "cpu.run=delay(1ms,2)"));
}

TEST(environment, takes_the_name_alone_the_whole_path_and_the_alias) {
  for (const auto* variable :
       {"ENGRAM_GPU_SPEEDUP_THRESHOLD", "ENGRAM_SPEEDUP_THRESHOLD",
        "ENGRAM_GPU_THRESHOLDS_GPU_SPEEDUP_THRESHOLD", "ENGRAM_GPU_THRESHOLDS_SPEEDUP_THRESHOLD"}) {
    const auto loaded = load_configuration(from_environment({{variable, "7"}}));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->values.pipeline.gpu.thresholds.gpu_speedup_threshold, 7.0) << variable;
  }
}

TEST(environment, leaves_the_variables_of_other_parts_alone) {
  const auto loaded = load_configuration(from_environment({{"ENGRAM_ISA", "avx2"},
                                                           {"ENGRAM_FAILPOINTS", "x=off"},
                                                           {"ENGRAM_DATA_DIR", "/data"},
                                                           {"ENGRAM_CONFIG", "e.toml"},
                                                           {"ENGRAM_PRESET", "a100"},
                                                           {"ENGRAM_NVTX", "1"},
                                                           {"ENGRAM_CUDA_GRAPHS", "0"}}));
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(changed_values(loaded->values), values_by_key{});
}

struct bad_text {
  std::string name;
  std::string value;
  std::string message;
};

TEST(environment, that_is_wrong_is_refused_by_name) {
  const std::vector<bad_text> cases{
      {"ENGRAM_TURBO", "1",
       "environment: ENGRAM_TURBO = \"1\" is not a key; `engram config show` lists the keys"},
      {"ENGRAM_gpu_enabled", "1",
       "environment: ENGRAM_gpu_enabled = \"1\" is not a key; `engram config show` lists the keys"},
      {"ENGRAM_THREADS", "2",
       "environment: ENGRAM_THREADS could be cpu.threads or server.threads; write the section too"},
      {"ENGRAM_ENABLED", "true",
       "environment: ENGRAM_ENABLED could be gpu.enabled or gpu.telemetry.telemetry_enabled; write "
       "the section too"},
      {"ENGRAM_GPU_ENABLED", "yes",
       "environment: ENGRAM_GPU_ENABLED = yes is not a boolean: allowed true, false"},
      {"ENGRAM_MAX_WAIT_MS", "",
       "environment: ENGRAM_MAX_WAIT_MS = \"\" is not a number: allowed "
       "0..1000"},
      {"ENGRAM_MAX_WAIT_MS", "5ms",
       "environment: ENGRAM_MAX_WAIT_MS = 5ms is not a number: allowed 0..1000"},
      {"ENGRAM_MAX_WAIT_MS", " 5",
       "environment: ENGRAM_MAX_WAIT_MS =  5 is not a number: allowed 0..1000"},
      {"ENGRAM_PORT", "99999999999999999999",
       "environment: ENGRAM_PORT = 99999999999999999999 is not an integer: allowed 0..65535"},
      {"ENGRAM_ISOLATION", "jail",
       "environment: ENGRAM_ISOLATION = \"jail\" is not one of them: "
       "allowed \"process\", \"none\", or \"\""},
  };
  for (const auto& each : cases) {
    const auto loaded = load_configuration(from_environment({{each.name, each.value}}));
    ASSERT_FALSE(loaded) << each.name;
    EXPECT_EQ(loaded.error().message, each.message);
  }
}

TEST(environment, that_names_a_key_and_its_alias_is_refused) {
  const auto loaded = load_configuration(
      from_environment({{"ENGRAM_GPU_MIN_BATCH_SIZE", "3"}, {"ENGRAM_MIN_BATCH_SIZE", "3"}}));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "environment: ENGRAM_MIN_BATCH_SIZE sets the same key as "
                                    "ENGRAM_GPU_MIN_BATCH_SIZE (environment); keep one of the two");
}

TEST(environment, of_the_process_is_read_by_prefix) {
  ASSERT_EQ(setenv("ENGRAM_MAX_WAIT_MS", "a=b", 1), 0);
  ASSERT_EQ(setenv("NOT_ENGRAM_MAX_WAIT_MS", "1", 1), 0);
  const auto variables = environment_variables();
  unsetenv("ENGRAM_MAX_WAIT_MS");
  unsetenv("NOT_ENGRAM_MAX_WAIT_MS");
  EXPECT_THAT(variables, Contains(Pair("ENGRAM_MAX_WAIT_MS", "a=b")));
  for (const auto& [name, value] : variables)
    EXPECT_TRUE(name.starts_with("ENGRAM_")) << name;
}

TEST(flags, take_paths_aliases_last_parts_and_dashes) {
  for (const auto* flag : {"gpu.gpu_min_batch_size", "gpu.min_batch_size", "gpu_min_batch_size",
                           "min_batch_size", "min-batch-size"}) {
    const auto loaded = load_configuration(from_flags({{flag, "7"}}));
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_EQ(loaded->values.pipeline.gpu.gpu_min_batch_size, 7u) << flag;
  }
}

TEST(flags, that_are_wrong_are_refused_by_name) {
  const std::vector<bad_text> cases{
      {"prot", "1",
       "command line: --prot = \"1\" is not a key; `engram config show` lists the "
       "keys"},
      {"max-wait", "1",
       "command line: --max_wait = \"1\" is not a key; `engram config show` lists "
       "the keys"},
      {"gpu.stream", "1",
       "command line: --gpu.stream = \"1\" is not a key; did you mean gpu.streams?"},
      {"threads", "1",
       "command line: --threads could be cpu.threads or server.threads; write the section too"},
      {"devices", "gpu0",
       "command line: --devices = \"gpu0\" has \"gpu0\", which is no device: allowed \"auto\", or "
       "CUDA ordinals (0) and simulated GPUs (\"sim:rtx3060\", \"sim:t4\", \"sim:a100\", "
       "\"sim:h100\")"},
  };
  for (const auto& each : cases) {
    const auto loaded = load_configuration(from_flags({{each.name, each.value}}));
    ASSERT_FALSE(loaded) << each.name;
    EXPECT_EQ(loaded.error().message, each.message);
  }
}

TEST(flags, given_twice_are_refused) {
  const auto loaded = load_configuration(from_flags({{"port", "1"}, {"server.port", "2"}}));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message, "command line: --server.port sets the same key as --port "
                                    "(command line); keep one of the two");
}

} // namespace
} // namespace engram
