#include "engram/config/load.hpp"

#include <gtest/gtest.h>

#include <random>

#include "effective.hpp"

namespace engram {
namespace {

struct bad_file {
  std::string name;
  std::string toml;
  std::string message;
};

// For gtest, which would print the bytes otherwise.
void PrintTo(const bad_file& file, std::ostream* out) {
  *out << file.toml;
}

std::string case_name(const testing::TestParamInfo<bad_file>& test) {
  return test.param.name;
}

class bad_configuration : public testing::TestWithParam<bad_file> {};

TEST_P(bad_configuration, is_refused_with_the_place_and_the_reason) {
  const auto loaded = parse_configuration(GetParam().toml, "e.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, ec::invalid_argument);
  EXPECT_EQ(loaded.error().message, GetParam().message);
}

const std::string device_words =
    R"("auto", or CUDA ordinals (0) and simulated GPUs ("sim:rtx3060", "sim:t4", "sim:a100", "sim:h100"))";

INSTANTIATE_TEST_SUITE_P(
    range, bad_configuration,
    testing::Values(
        bad_file{"above", "\n[batching]\nmax_wait_ms = 1000.5\n",
                 "e.toml:3: batching.max_wait_ms = 1000.5 is out of range: allowed 0..1000"},
        bad_file{"below", "[batching]\nmax_wait_ms = -0.001",
                 "e.toml:2: batching.max_wait_ms = -0.001 is out of range: allowed 0..1000"},
        bad_file{"zero_by_alias", "[gpu]\nmin_batch_size = 0",
                 "e.toml:2: gpu.min_batch_size = 0 is out of range: allowed 1..1000000"},
        bad_file{"negative_integer", "[cpu]\nthreads = -1",
                 "e.toml:2: cpu.threads = -1 is out of range: allowed 0..1024"},
        bad_file{"past_16_bits", "server.port = 65536",
                 "e.toml:1: server.port = 65536 is out of range: allowed 0..65535"},
        bad_file{"past_32_bits", "[gpu]\nstreams = 4294967297",
                 "e.toml:2: gpu.streams = 4294967297 is out of range: allowed 1..32"},
        bad_file{"not_a_number", "[gpu]\nvram_safety_margin = nan",
                 "e.toml:2: gpu.vram_safety_margin = nan is out of range: allowed 0.1..1"},
        bad_file{
            "infinite", "[admission]\ndefault_deadline_ms = inf",
            "e.toml:2: admission.default_deadline_ms = inf is out of range: allowed 1..3600000"},
        bad_file{"first_wait_above_the_last", "[gpu.breaker]\n\ncool_down_ms = 90000",
                 "e.toml:3: gpu.breaker.cool_down_ms = 90000 is above gpu.breaker.max_cool_down_ms "
                 "= 60000; lower the one or raise the other"},
        bad_file{"last_wait_below_the_first", "[supervisor]\nmax_backoff_ms = 0.5",
                 "e.toml:2: supervisor.backoff_ms = 1 is above supervisor.max_backoff_ms = 0.5; "
                 "lower the one or raise the other"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    type, bad_configuration,
    testing::Values(
        bad_file{"text_for_a_boolean", "gpu.enabled = \"true\"",
                 "e.toml:1: gpu.enabled = \"true\" is not a boolean: allowed true, false"},
        bad_file{"integer_for_a_boolean", "gpu.enabled = 1",
                 "e.toml:1: gpu.enabled = 1 is not a boolean: allowed true, false"},
        bad_file{"fraction_for_an_integer", "[gpu]\nstreams = 2.5",
                 "e.toml:2: gpu.streams = 2.5 is not an integer: allowed 1..32"},
        bad_file{"whole_number_with_a_point_for_an_integer", "[gpu]\nstreams = 2.0",
                 "e.toml:2: gpu.streams = 2.0 is not an integer: allowed 1..32"},
        bad_file{"text_for_a_number", "[batching]\nmax_wait_ms = \"ten\"",
                 "e.toml:2: batching.max_wait_ms = \"ten\" is not a number: allowed 0..1000"},
        bad_file{"boolean_for_a_number", "[batching]\nmax_wait_ms = true",
                 "e.toml:2: batching.max_wait_ms = true is not a number: allowed 0..1000"},
        bad_file{"date_for_an_integer", "[server]\nport = 2025-10-26",
                 "e.toml:2: server.port = 2025-10-26 is not an integer: allowed 0..65535"},
        bad_file{"integer_for_a_text", "[server]\nhost = 7",
                 "e.toml:2: server.host = 7 is not a string: allowed a host name or an address"},
        bad_file{"integer_in_a_list_of_texts", "[datasets]\nload = [1]",
                 "e.toml:2: datasets.load = [1] is not a list of strings: allowed a list of NAME "
                 "or NAME@VERSION"},
        bad_file{"long_value", "[gpu]\nstreams = \"" + std::string(1'000, 'x') + '"',
                 "e.toml:2: gpu.streams = \"" + std::string(79, 'x') +
                     "... is not an integer: allowed 1..32"},
        bad_file{"list_in_a_list", "[gpu]\ndevices = [[0]]",
                 "e.toml:2: gpu.devices = [[0]] is not a list of strings: allowed " + device_words},
        bad_file{"table_for_a_boolean", "[gpu.enabled]\nyes = 1",
                 "e.toml:1: gpu.enabled = {...} is not a boolean: allowed true, false"},
        bad_file{"value_for_a_section", "batching = 3",
                 "e.toml:1: batching = 3 is not a section; write [batching] and its keys below it"},
        bad_file{"list_for_a_section", "[[batching]]\nmax_wait_ms = 3",
                 "e.toml:1: batching = [{...}] is not a section; write [batching] and its keys "
                 "below it"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    text, bad_configuration,
    testing::Values(
        bad_file{"isolation", "gpu.isolation = \"jail\"",
                 "e.toml:1: gpu.isolation = \"jail\" is not one of them: allowed \"process\", "
                 "\"none\", or \"\""},
        bad_file{"no_host", "server.host = \"\"",
                 "e.toml:1: server.host = \"\" is empty: allowed a host name or an address"},
        bad_file{"unknown_profile", "gpu.devices = [\"0\", \"sim:h900\"]",
                 "e.toml:1: gpu.devices = [\"0\", \"sim:h900\"] has \"sim:h900\", which is no "
                 "device: allowed " +
                     device_words},
        bad_file{"negative_ordinal", "gpu.devices = -1",
                 "e.toml:1: gpu.devices = -1 has \"-1\", which is no device: allowed " +
                     device_words},
        bad_file{"no_devices", "gpu.devices = []",
                 "e.toml:1: gpu.devices = [] is empty (gpu.enabled = false turns GPUs off): "
                 "allowed " +
                     device_words},
        bad_file{"auto_and_more", "gpu.devices = [\"auto\", 0]",
                 "e.toml:1: gpu.devices = [\"auto\", 0] puts \"auto\" beside other entries: "
                 "allowed " +
                     device_words},
        bad_file{"one_gpu_twice", "gpu.devices = [0, \"0\"]",
                 "e.toml:1: gpu.devices = [0, \"0\"] lists \"0\" twice: allowed " + device_words},
        bad_file{"fault_without_a_task", "[faults]\npoints = [\"gpu0.launch\"]",
                 "e.toml:2: faults.points = [\"gpu0.launch\"] has \"gpu0.launch\", which is not of "
                 "the form SITE=TASK: allowed a list of SITE=TASK, such as "
                 "\"gpu0.launch=5%return(transient)\""},
        bad_file{"dataset_without_a_version", "[datasets]\nload = [\"wordnet@\"]",
                 "e.toml:2: datasets.load = [\"wordnet@\"] has \"wordnet@\", which is not of the "
                 "form NAME or NAME@VERSION: allowed a list of NAME or NAME@VERSION"},
        bad_file{"one_dataset_twice", "[datasets]\nload = [\"a@1\", \"a@2\"]",
                 "e.toml:2: datasets.load = [\"a@1\", \"a@2\"] lists \"a\" twice: allowed a list "
                 "of NAME or NAME@VERSION"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    name, bad_configuration,
    testing::Values(
        bad_file{
            "misspelled", "[batching]\nmax_wait = 3",
            "e.toml:2: batching.max_wait = 3 is not a key; did you mean batching.max_wait_ms?"},
        bad_file{"in_the_wrong_section", "[gpu]\nspeedup_threshold = 2.0",
                 "e.toml:2: gpu.speedup_threshold = 2.0 is not a key; did you mean "
                 "gpu.thresholds.speedup_threshold?"},
        bad_file{"like_nothing", "[gpu]\nturbo = \"on\"",
                 "e.toml:2: gpu.turbo = \"on\" is not a key; `engram config show` lists the keys"},
        bad_file{"at_the_top", "max_wait_ms = 3",
                 "e.toml:1: max_wait_ms = 3 is not a key; did you mean batching.max_wait_ms?"},
        bad_file{"dotted_but_quoted", "\"gpu.enabled\" = true",
                 "e.toml:1: \"gpu.enabled\" = true is not a key; did you mean gpu.enabled?"},
        bad_file{"section", "[gpus]\nenabled = true\n[batching]\n",
                 "e.toml:1: [gpus] is not a section; did you mean [gpu]?"},
        bad_file{"empty_section", "[network]",
                 "e.toml:1: [network] is not a section; `engram config show` lists them"},
        bad_file{"twice_by_alias",
                 "[gpu]\nmin_batch_size = 32\nstreams = 2\ngpu_min_batch_size = 64",
                 "e.toml:4: gpu.gpu_min_batch_size sets the same key as gpu.min_batch_size "
                 "(e.toml:2); keep one of the two"},
        bad_file{"twice_by_alias_in_telemetry",
                 "[gpu.telemetry]\ntelemetry_enabled = true\nenabled = true",
                 "e.toml:3: gpu.telemetry.enabled sets the same key as "
                 "gpu.telemetry.telemetry_enabled (e.toml:2); keep one of the two"}),
    case_name);

INSTANTIATE_TEST_SUITE_P(
    syntax, bad_configuration,
    testing::Values(
        bad_file{"key_twice", "[gpu]\nstreams = 2\nstreams = 3",
                 "e.toml:3: 'streams' is set twice; keep one of the two"},
        bad_file{"section_twice", "[gpu]\nstreams = 2\n[gpu]\nenabled = true",
                 "e.toml:3: 'gpu' is set twice; keep one of the two"},
        bad_file{"no_value", "[gpu]\nstreams =\n",
                 "e.toml:2: not valid TOML, in a key-value pair: expected value, saw '\\n'"},
        bad_file{"open_header", "[gpu\nstreams = 2",
                 "e.toml:1: not valid TOML, in a table header: expected ']', saw '\\n'"},
        bad_file{"not_toml_at_all", "{\"gpu\": 1}",
                 "e.toml:1: not valid TOML, in a root table: expected keys, tables, whitespace or "
                 "comments, saw '{'"},
        bad_file{"not_utf8", "[gpu]\nisolation = \"\xff\"",
                 "e.toml:2: not valid TOML: encountered invalid utf-8 sequence"},
        bad_file{"too_long", std::string(64 * 1024 + 1, '#'),
                 "e.toml: longer than 64 KiB, which no configuration is"}),
    case_name);

TEST(bad_configurations, name_all_mistakes_in_the_order_of_their_lines) {
  const auto loaded = parse_configuration("[gpu]\nstreams = 99\nturbo = 1\n"
                                          "[batching]\nmax_wait_ms = true\nadaptive = false\n"
                                          "[admission]\nmax_in_flight = 0\n",
                                          "e.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            "e.toml:2: gpu.streams = 99 is out of range: allowed 1..32\n"
            "e.toml:3: gpu.turbo = 1 is not a key; `engram config show` lists the keys\n"
            "e.toml:5: batching.max_wait_ms = true is not a number: allowed 0..1000\n"
            "e.toml:8: admission.max_in_flight = 0 is out of range: allowed 1..10000000");
}

TEST(bad_configurations, say_nothing_about_an_order_when_a_value_of_the_pair_is_wrong) {
  const auto loaded = parse_configuration(
      "[gpu.breaker]\ncool_down_ms = 90000\nmax_cool_down_ms = \"2 min\"", "e.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            "e.toml:3: gpu.breaker.max_cool_down_ms = \"2 min\" is not a number: allowed "
            "1..3600000");
}

TEST(bad_configurations, may_nest_deeply_without_harm) {
  std::string deep = "b = 1";
  for (int dots = 0; dots < 4'000; ++dots)
    deep = "a." + deep;
  const auto loaded = parse_configuration(deep, "e.toml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().message,
            "e.toml:1: [a] is not a section; `engram config show` lists them");
  const auto deeper = parse_configuration("a." + deep, "e.toml");
  ASSERT_FALSE(deeper);
  EXPECT_EQ(deeper.error().message, "e.toml: more than 4000 dots, which no configuration has");
}

// toml++ promises the compiler that most of them never come here; the sanitizer sees it when one
// does.
TEST(bad_configurations, with_a_character_outside_ascii_for_a_value_say_where) {
  for (unsigned c = 0x80; c < 0x1'0000; c += c < 0x3100 ? 1 : 97) {
    if (c >= 0xd800 && c < 0xe000) continue; // halves of pairs
    std::string text = "server.port = ";
    if (c < 0x800) {
      text += static_cast<char>(0xc0 | c >> 6);
    } else {
      text += static_cast<char>(0xe0 | c >> 12);
      text += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    }
    text += static_cast<char>(0x80 | (c & 0x3f));
    const auto loaded = parse_configuration(text, "e.toml");
    ASSERT_FALSE(loaded) << std::hex << c;
    ASSERT_TRUE(loaded.error().message.starts_with("e.toml:1: ")) << loaded.error().message;
  }
}

// Whatever the bytes are, the answer is a configuration that is in order or a reason with a place.
TEST(bad_configurations, of_random_bytes_are_refused_or_are_in_order) {
  const auto original =
      contents_of(std::string{ENGRAM_CONFIG_TESTS} + "/guide/datacenter-high-throughput.toml");
  ASSERT_FALSE(original.empty());
  const std::string alphabet = "[]{}=.,\"'#\n\\ -_0123456789aegtux\xc3\x01";
  constexpr unsigned seed = 20'251'026;
  std::mt19937 random{seed};
  int accepted = 0;
  for (int round = 0; round < 5'000; ++round) {
    auto text = original;
    for (auto edits = random() % 4; edits-- > 0;)
      text.replace(random() % text.size(), random() % 3, 1, alphabet[random() % alphabet.size()]);
    const auto loaded = parse_configuration(text, "e.toml");
    if (loaded) {
      ++accepted;
      EXPECT_EQ(complaint(loaded->values), std::nullopt) << text;
    } else {
      EXPECT_TRUE(loaded.error().message.starts_with("e.toml:")) << loaded.error().message;
    }
  }
  EXPECT_GT(accepted, 1'000); // the untouched fourth at least
}

} // namespace
} // namespace engram
