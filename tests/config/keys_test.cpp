#include "engram/config/keys.hpp"
#include "engram/config/load.hpp"
#include "engram/config/names.hpp"
#include "engram/config/values.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <set>

#include "effective.hpp"

namespace engram {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

const key_info& info_of(const std::string& key) {
  for (const auto& each : all_keys())
    if (each.key == key) return each;
  throw std::out_of_range{key};
}

struct promise {
  std::string key;
  std::string type;
  std::string default_value;
  std::string allowed;
};

TEST(keys, have_the_defaults_and_ranges_that_are_promised) {
  const std::vector<promise> promises{
      {"gpu.enabled", "bool", "true", "true, false"},
      {"gpu.gpu_min_batch_size", "integer", "64", "1..1000000"},
      {"gpu.force_cpu_mode", "bool", "false", "true, false"},
      {"gpu.vram_safety_margin", "number", "0.8", "0.1..1"},
      {"gpu.streams", "integer", "4", "1..32"},
      {"gpu.isolation", "string", "\"\"", "\"process\", \"none\", or \"\""},
      {"gpu.thresholds.gpu_speedup_threshold", "number", "1.5", "1..100"},
      {"gpu.thresholds.gpu_success_rate_threshold", "number", "0.95", "0..1"},
      {"gpu.telemetry.telemetry_enabled", "bool", "true", "true, false"},
      {"gpu.telemetry.performance_window_size", "integer", "100", "10..100000"},
      {"batching.max_wait_ms", "number", "10", "0..1000"},
      {"batching.target_batch_size", "integer", "128", "1..65536"},
      {"batching.adaptive", "bool", "false", "true, false"},
      {"admission.max_in_flight", "integer", "65536", "1..10000000"},
      {"admission.default_deadline_ms", "number", "1000", "1..3600000"},
      {"server.max_body_bytes", "integer", "67108864", "1024..4294967296"},
  };
  for (const auto& each : promises) {
    const auto& info = info_of(each.key);
    EXPECT_EQ(info.type, each.type) << each.key;
    EXPECT_EQ(info.default_value, each.default_value) << each.key;
    EXPECT_EQ(info.allowed, each.allowed) << each.key;
  }
  EXPECT_EQ(info_of("gpu.devices").default_value, "[\"auto\"]");
}

TEST(keys, have_the_aliases_of_the_guide_and_no_others) {
  std::set<std::string> aliases;
  for (const auto& each : all_keys())
    aliases.insert(each.aliases.begin(), each.aliases.end());
  EXPECT_THAT(aliases,
              UnorderedElementsAre("gpu.min_batch_size", "gpu.thresholds.speedup_threshold",
                                   "gpu.thresholds.success_rate_threshold", "gpu.telemetry.enabled",
                                   "gpu.telemetry.performance_window"));
}

TEST(keys, that_change_live_are_those_of_the_control_loops_and_of_who_may_come_in) {
  const auto is_live = [](const std::string& key) {
    for (const auto* section : {"gpu.thresholds.", "gpu.breaker.", "gpu.verification.", "batching.",
                                "routing.", "admission.", "supervisor."})
      if (key.starts_with(section)) return true;
    return key == "gpu.gpu_min_batch_size" || key == "gpu.force_cpu_mode" ||
           key == "gpu.telemetry.performance_window_size" || key == "server.tokens_file" ||
           key == "server.client_requests_per_second" || key == "server.client_burst";
  };
  for (const auto& each : all_keys())
    EXPECT_EQ(each.needs_restart, !is_live(each.key)) << each.key;
}

TEST(keys, are_written_back_to_the_member_they_are_read_from) {
  for (const auto& each : config::keys()) {
    // Another allowed value for this key must change this key alone.
    options values;
    const auto before = all_values(values);
    const auto other = [&]() -> config::value {
      switch (each.bound.type) {
      case config::kind::boolean:
        return !std::get<bool>(each.bound.get(values));
      case config::kind::integer:
        return std::get<std::int64_t>(each.bound.get(values)) + 1;
      case config::kind::number:
        return each.allowed.lowest;
      case config::kind::string:
        return std::string{"other"};
      case config::kind::list:
        return std::vector<std::string>{"one", "two"};
      }
      return {};
    }();
    each.bound.set(values, other);
    const auto after = all_values(values);
    for (const auto& [key, value] : after) {
      if (key == each.path())
        EXPECT_EQ(value, config::to_text(other)) << key;
      else
        EXPECT_EQ(value, before.at(key)) << each.path() << " changed " << key;
    }
  }
}

std::optional<std::string> refusal(config_sources sources) {
  const auto loaded = load_configuration(sources);
  return loaded ? std::nullopt : std::optional{loaded.error().message};
}

std::optional<std::string> refusal_of_file(const std::string& toml) {
  const auto loaded = parse_configuration(toml, "e.toml");
  return loaded ? std::nullopt : std::optional{loaded.error().message};
}

// The upper keys of ordered pairs are raised so that only the range decides.
std::string raised(const std::string& key) {
  std::string toml;
  for (const auto& pair : config::ordered_pairs())
    if (key == pair.lower)
      toml += std::string{pair.upper} + " = " +
              config::plain(config::find_key(pair.upper)->allowed.highest) + '\n';
    else if (key == pair.upper)
      toml += std::string{pair.lower} + " = " +
              config::plain(config::find_key(pair.lower)->allowed.lowest) + '\n';
  return toml;
}

TEST(keys, take_both_ends_of_their_range_and_nothing_beyond_from_every_source) {
  int checked = 0;
  for (const auto& each : config::keys()) {
    const bool is_integer = each.bound.type == config::kind::integer;
    if (!is_integer && each.bound.type != config::kind::number) continue;
    ++checked;
    const auto [lowest, highest] = std::pair{each.allowed.lowest, each.allowed.highest};
    for (const auto inside : {lowest, highest}) {
      const auto text = config::plain(inside);
      EXPECT_EQ(refusal_of_file(raised(each.path()) + each.path() + " = " + text), std::nullopt);
    }
    const auto below = is_integer ? lowest - 1 : std::nextafter(lowest, -1e9);
    const auto above = is_integer ? highest + 1 : std::nextafter(highest, 1e9);
    for (const auto outside : {below, above}) {
      const auto text = config::plain(outside);
      const auto wrong = " = " + text + " is out of range: allowed " + config::allowed_text(each);
      const auto variable = config::variable_of(each);
      EXPECT_EQ(refusal_of_file(each.path() + " = " + text), "e.toml:1: " + each.path() + wrong);
      EXPECT_EQ(refusal({{}, {}, {{variable, text}}, {}}), "environment: " + variable + wrong);
      EXPECT_EQ(refusal({{}, {}, {}, {{each.path(), text}}}),
                "command line: --" + each.path() + wrong);
    }
  }
  EXPECT_GT(checked, 20);
}

TEST(variables, mean_one_key_each_where_they_are_recommended) {
  std::set<std::string> seen;
  for (const auto& each : all_keys()) {
    EXPECT_TRUE(seen.insert(each.environment).second) << each.environment;
    EXPECT_FALSE(config::is_other_variable(each.environment)) << each.environment;
    const auto& meant = config::variable_spellings().at(each.environment);
    ASSERT_EQ(meant.size(), 1u) << each.environment;
    EXPECT_EQ(meant.front()->path(), each.key);
  }
  EXPECT_EQ(info_of("gpu.gpu_min_batch_size").environment, "ENGRAM_GPU_MIN_BATCH_SIZE");
  EXPECT_EQ(info_of("batching.max_wait_ms").environment, "ENGRAM_MAX_WAIT_MS");
  EXPECT_EQ(info_of("gpu.enabled").environment, "ENGRAM_GPU_ENABLED");
  EXPECT_EQ(info_of("cpu.threads").environment, "ENGRAM_CPU_THREADS");
  EXPECT_EQ(info_of("server.threads").environment, "ENGRAM_SERVER_THREADS");
}

TEST(variables, with_the_whole_path_always_mean_that_key) {
  for (const auto& [path, meant] : config::file_spellings()) {
    std::string variable = "ENGRAM_";
    for (const char c : path)
      variable += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_EQ(config::variable_spellings().at(variable), meant) << variable;
  }
}

TEST(numbers, are_printed_shortly_and_read_back_the_same) {
  EXPECT_EQ(config::plain(3.6e6), "3600000");
  EXPECT_EQ(config::plain(0.1), "0.1");
  EXPECT_EQ(config::plain(-2.5), "-2.5");
  EXPECT_EQ(config::plain(1e-7), "0.0000001");
  EXPECT_EQ(config::plain(1e-30), "1e-30");
  for (const double number : {0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, 1e-9, 1.0 / 3e8}) {
    const auto text = config::plain(number);
    double again = -1;
    std::from_chars(text.data(), text.data() + text.size(), again);
    EXPECT_EQ(again, number) << text;
  }
}

TEST(strings, are_escaped_as_toml_wants_it) {
  EXPECT_EQ(config::toml_string("a\"b\\c\n\x7f"), R"("a\"b\\c\u000a\u007f")");
  const auto loaded = parse_configuration(
      "datasets.directory = " + config::toml_string("a\"b\\c\n\x7f\xc3\xa9"), "e.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(loaded->values.datasets.directory, "a\"b\\c\n\x7f\xc3\xa9");
}

TEST(devices, may_be_written_in_four_ways) {
  const auto devices = [](const std::string& toml) {
    const auto loaded = parse_configuration("gpu.devices = " + toml, "e.toml");
    return loaded ? loaded->values.pipeline.gpu.devices
                  : std::vector<std::string>{loaded.error().message};
  };
  EXPECT_THAT(devices("\"auto\""), ElementsAre("auto"));
  EXPECT_THAT(devices("0"), ElementsAre("0"));
  EXPECT_THAT(devices("\"sim:h100\""), ElementsAre("sim:h100"));
  EXPECT_THAT(devices("[\"0\", 1, \"sim:rtx3060\", \"sim:t4\", \"sim:a100\", \"sim:a100\"]"),
              ElementsAre("0", "1", "sim:rtx3060", "sim:t4", "sim:a100", "sim:a100"));
}

} // namespace
} // namespace engram
