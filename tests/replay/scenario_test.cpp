#include "engram/replay/durations.hpp"
#include "engram/replay/scenario.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace {

using namespace engram;
using namespace engram::replay;
using namespace std::chrono_literals;

constexpr const char* minimal = R"(
name = "small"
duration = "2s"
[[load]]
op = "similarity"
rate = 10
dim = 8
)";

TEST(scenario, needs_a_name_a_duration_and_one_load) {
  const auto read = parse_scenario(minimal, "s.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->name, "small");
  EXPECT_EQ(read->measured, duration{2s});
  EXPECT_EQ(read->warm_up, duration::zero());
  EXPECT_EQ(read->seed, 1u);
  EXPECT_DOUBLE_EQ(read->verify_share, 0.01);
  ASSERT_EQ(read->loads.size(), 1u);
  EXPECT_EQ(read->loads[0].name, "similarity");
  EXPECT_EQ(read->loads[0].arrival, arrival_kind::poisson);
  EXPECT_DOUBLE_EQ(read->rate(), 10.0);
}

TEST(scenario, reads_every_key) {
  const auto read = parse_scenario(R"(
name = "whole"
summary = "all of it"
duration = "1m"
warm_up = "500ms"
seed = 99
preset = "a100"
[config]
gpu.devices = ["sim:h100", "sim:t4"]
batching = { max_wait_ms = 2.5 }
[[dataset]]
name = "v"
kind = "vectors"
n = 100
dim = 16
seed = 4
[[dataset]]
name = "g"
kind = "graph"
nodes = 50
edges_per_node = 3
[[load]]
name = "front page"
op = "search"
dataset = "v"
rate = 12.5
arrival = "constant"
queries = "2..5"
k = 7
vectors = "random"
noise = 0.25
deadline = "20ms"
priority = -3
tenant = "acme"
distinct = 12
[[load]]
op = "spread"
dataset = "g"
arrival = "bursts"
burst_size = 30
burst_period = "500ms"
seed_sets = 2
seeds = "1..4"
hops = 5
decay = 0.75
threshold = 0.125
top = 9
[[load]]
op = "score"
dataset = "v"
rate = 1
ids = "3..4"
[[fault]]
at = "30s"
fault = "gpu0.launch=off"
[[fault]]
at = "10s"
fault = "gpu0.launch=5%return(sticky)->off"
[verify]
share = 0.5
[objective]
p99 = "75ms"
max_error_share = 0.125
)",
                                   "s.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->summary, "all of it");
  EXPECT_EQ(read->preset, "a100");
  const std::vector<std::pair<std::string, std::string>> config{{"gpu.devices", "sim:h100,sim:t4"},
                                                                {"batching.max_wait_ms", "2.5"}};
  EXPECT_EQ(read->config, config);
  ASSERT_EQ(read->datasets.size(), 2u);
  EXPECT_EQ(read->datasets[1].edges_per_node, 3u);
  ASSERT_EQ(read->loads.size(), 3u);
  const auto& search = read->loads[0];
  EXPECT_EQ(search.name, "front page");
  EXPECT_EQ(search.queries.lowest, 2u);
  EXPECT_EQ(search.queries.highest, 5u);
  EXPECT_EQ(search.vectors, vector_source::random);
  EXPECT_EQ(search.deadline, duration{20ms});
  EXPECT_EQ(search.priority, -3);
  EXPECT_EQ(search.tenant, "acme");
  EXPECT_EQ(search.distinct, 12u);
  const auto& spread = read->loads[1];
  EXPECT_DOUBLE_EQ(spread.rate, 60.0);
  EXPECT_EQ(spread.spread.max_hops, 5u);
  EXPECT_FLOAT_EQ(spread.spread.threshold, 0.125f);
  EXPECT_EQ(spread.spread.top, 9u);
  EXPECT_EQ(read->loads[2].ids.highest, 4u);
  ASSERT_EQ(read->faults.size(), 2u);
  EXPECT_EQ(read->faults[0].at, duration{10s}) << "the timeline is in order of time";
  EXPECT_EQ(read->goal.p99, duration{75ms});
  EXPECT_DOUBLE_EQ(read->goal.max_error_share, 0.125);
}

struct bad_case {
  const char* what;
  const char* toml; ///< appended to a good head of three lines
  const char* message;
};

class bad_scenario : public testing::TestWithParam<bad_case> {};

TEST_P(bad_scenario, is_refused_with_place_key_value_and_what_is_allowed) {
  const std::string head = "name = \"x\"\nduration = \"2s\"\n";
  const auto read = parse_scenario(head + GetParam().toml, "s.toml");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ec::invalid_argument);
  EXPECT_EQ(read.error().message, GetParam().message);
}

const std::string good_load = "[[load]]\nop = \"similarity\"\nrate = 10\ndim = 8\n";

INSTANTIATE_TEST_SUITE_P(
    scenario, bad_scenario,
    testing::Values(
        bad_case{"no load", "", "s.toml:1: load is missing: allowed one [[load]] or more"},
        bad_case{"unknown key", "sed = 3\n[[load]]\nop = \"similarity\"\nrate = 10\ndim = 8\n",
                 "s.toml:3: sed = 3 is not a key of a scenario: allowed name, summary, duration, "
                 "warm_up, seed, preset, config, dataset, load, fault, publish, verify, objective"},
        bad_case{"misspelt key",
                 "warmup = \"1s\"\n[[load]]\nop = \"similarity\"\nrate = 10\ndim = 8\n",
                 "s.toml:3: warmup = \"1s\" is not a key of a scenario; did you mean warm_up?"},
        bad_case{"wrong type", "seed = \"one\"\n[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\n",
                 "s.toml:3: seed = \"one\" is not an integer: allowed 0..9223372036854775807"},
        bad_case{"unknown op", "[[load]]\nop = \"find\"\nrate = 10\n",
                 "s.toml:4: load.op = \"find\" is unknown: allowed \"search\", \"similarity\", "
                 "\"score\", \"spread\""},
        bad_case{"rate of nothing", "[[load]]\nop = \"similarity\"\nrate = 0\ndim = 8\n",
                 "s.toml:5: load.rate = 0 is out of range: allowed 0.001..5000000"},
        bad_case{"no rate", "[[load]]\nop = \"similarity\"\ndim = 8\n",
                 "s.toml:3: load.rate is missing: allowed 0.001..5000000"},
        bad_case{
            "bursts without a size",
            "[[load]]\nop = \"similarity\"\narrival = \"bursts\"\nburst_period = \"1s\"\ndim = 8\n",
            "s.toml:3: load.burst_size is missing: allowed 1..1000000"},
        bad_case{"a rate for bursts",
                 "[[load]]\nop = \"similarity\"\narrival = \"bursts\"\nburst_period = \"1s\"\n"
                 "burst_size = 3\nrate = 3\ndim = 8\n",
                 "s.toml:8: load.rate = 3 is not a key of a similarity load: allowed op, name, "
                 "arrival, burst_size, burst_period, targets, dim, deadline, priority, tenant, "
                 "distinct"},
        bad_case{"a range upside down",
                 "[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\ntargets = \"5..2\"\n",
                 "s.toml:7: load.targets = \"5..2\" is not a count like 4 or \"1..8\": allowed "
                 "1..65536"},
        bad_case{"a range of nothing",
                 "[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\ntargets = 0\n",
                 "s.toml:7: load.targets = 0 is out of range: allowed 1..65536"},
        bad_case{"a key of another operation",
                 "[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\nhops = 2\n",
                 "s.toml:7: load.hops = 2 is not a key of a similarity load: allowed op, name, "
                 "arrival, rate, targets, dim, deadline, priority, tenant, distinct"},
        bad_case{"no such time",
                 "[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\ndeadline = \"soon\"\n",
                 "s.toml:7: load.deadline = \"soon\" is not a time like \"10s\" or \"250ms\": "
                 "allowed \"1 us\"..\"3600 s\""},
        bad_case{"a fault that is none",
                 "[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\n[[fault]]\nat = \"9s\"\n"
                 "fault = \"gpu0.launch=off\"\n",
                 "s.toml:8: fault.at = \"9s\" is after the end of the run: allowed up to \"2 s\""},
        bad_case{
            "a search of a graph",
            "[[dataset]]\nname = \"g\"\nkind = \"graph\"\nnodes = 9\nedges_per_node = 2\n"
            "[[load]]\nop = \"search\"\ndataset = \"g\"\nrate = 1\n",
            "s.toml:10: load.dataset = \"g\" is a graph: search needs a collection of vectors"},
        bad_case{"a configuration key that is none",
                 "[config]\ngpu.stream = 4\n[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\n",
                 "s.toml:4: gpu.stream = 4 is not a key; did you mean gpu.streams?"},
        bad_case{"a preset that is none",
                 "preset = \"h900\"\n[[load]]\nop = \"similarity\"\nrate = 1\ndim = 8\n",
                 "s.toml:3: preset = \"h900\" is unknown: `engram config presets` lists them"},
        bad_case{"too many requests",
                 "[[load]]\nop = \"similarity\"\nrate = 5e6\ndim = 8\n[[load]]\n"
                 "op = \"similarity\"\nname = \"b\"\nrate = 5e6\ndim = 8\n[[load]]\n"
                 "op = \"similarity\"\nname = \"c\"\nrate = 5e6\ndim = 8\n",
                 "s.toml: the scenario plans 30000000 requests (15000000/s for 2 s) and a replay "
                 "keeps track of at most 20000000; lower a rate or the duration"},
        bad_case{"no TOML", "[[load\n",
                 "s.toml:3: not valid TOML: table header: expected ']', saw '\\n'"}),
    [](const auto& tested) {
      std::string name = tested.param.what;
      for (auto& c : name)
        if (c == ' ') c = '_';
      return name;
    });

TEST(scenario, tells_every_mistake_at_once) {
  const auto read = parse_scenario("duration = 3\nextra = 1\n", "s.toml");
  ASSERT_FALSE(read);
  const auto& message = read.error().message;
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n') + 1, 4) << message;
  EXPECT_NE(message.find("name is missing"), std::string::npos);
  EXPECT_NE(message.find("duration = 3 is not a time"), std::string::npos);
  EXPECT_NE(message.find("load is missing"), std::string::npos);
  EXPECT_NE(message.find("extra = 1 is not a key"), std::string::npos);
}

TEST(scenario, refuses_a_fault_setting_with_a_bad_grammar) {
  const auto read = parse_scenario(
      std::string{minimal} + "[[fault]]\nat = \"1s\"\nfault = \"gpu0=\"\n", "s.toml");
  ASSERT_FALSE(read);
  EXPECT_TRUE(read.error().message.starts_with(
      "s.toml:10: fault.fault = \"gpu0=\" is not a fault setting: "))
      << read.error().message;
}

TEST(scenario, names_a_file_that_is_not_there) {
  const auto read = load_scenario("/nowhere/x.toml");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ec::not_found);
  EXPECT_EQ(read.error().message,
            "/nowhere/x.toml: there is no such file; name a scenario that exists");
}

TEST(scenario, scaling_the_rate_scales_bursts_by_their_period) {
  auto read = parse_scenario(R"(
name = "b"
duration = "1s"
[[load]]
op = "similarity"
arrival = "bursts"
burst_size = 10
burst_period = "100ms"
dim = 4
)",
                             "s.toml");
  ASSERT_TRUE(read) << read.error().message;
  scale_rate(*read, 2.0);
  EXPECT_DOUBLE_EQ(read->loads[0].rate, 200.0);
  EXPECT_EQ(read->loads[0].burst_size, 10u);
  EXPECT_EQ(read->loads[0].burst_period, duration{50ms});
}

TEST(scenario, every_shipped_one_can_be_read) {
  int read_ones = 0;
  for (const auto& entry : std::filesystem::directory_iterator{ENGRAM_SCENARIOS}) {
    if (entry.path().extension() != ".toml") continue;
    ++read_ones;
    const auto read = load_scenario(entry.path());
    EXPECT_TRUE(read) << read.error().message;
  }
  EXPECT_GE(read_ones, 2);
}

TEST(durations, are_read_with_their_unit) {
  EXPECT_EQ(parse_duration("250us"), duration{250us});
  EXPECT_EQ(parse_duration("1.5ms"), duration{1500us});
  EXPECT_EQ(parse_duration("10 s"), duration{10s});
  EXPECT_EQ(parse_duration("2m"), duration{2min});
  EXPECT_EQ(parse_duration("0s"), duration::zero());
  for (const auto* wrong : {"", "10", "s", "-1s", "1 day", "1e400s", "nans", "25h", "1ss"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

TEST(durations, are_written_for_people) {
  EXPECT_EQ(duration_text(duration{250us}), "250 us");
  EXPECT_EQ(duration_text(duration{1500us}), "1.5 ms");
  EXPECT_EQ(duration_text(duration{36s}), "36 s");
  EXPECT_EQ(duration_text(duration{3600s}), "3600 s");
  EXPECT_EQ(duration_text(duration::zero()), "0 s");
}

TEST(scenario, takes_as_late_a_fiftieth_of_its_objective_but_at_least_a_millisecond) {
  scenario what;
  EXPECT_EQ(what.late_limit(), 1ms);
  what.goal.p99 = 10ms;
  EXPECT_EQ(what.late_limit(), 1ms);
  what.goal.p99 = 250ms;
  EXPECT_EQ(what.late_limit(), 5ms);
}

} // namespace
