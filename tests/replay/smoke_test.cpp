#include "engram/config/load.hpp"
#include "engram/replay/run.hpp"
#include "engram/replay/synthetic.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace engram;
using namespace engram::replay;

/// Starts the pipeline that the scenario asks for, with its datasets.
std::unique_ptr<pipeline> pipeline_for(const scenario& what) {
  config_sources sources;
  sources.flags = what.config;
  const auto config = load_configuration(sources);
  EXPECT_TRUE(config) << config.error().message;
  auto pipe = pipeline::start(config->values.pipeline);
  EXPECT_TRUE(pipe) << pipe.error().message;
  for (const auto& described : what.datasets) {
    auto made = make_dataset(described);
    EXPECT_TRUE(made);
    EXPECT_TRUE((*pipe)->publish(described.name, std::move(*made)));
  }
  return std::move(*pipe);
}

/// Returns the scenario with so much time for everything that a busy machine changes no outcome:
/// only the fault of its timeline can make a device fail.
scenario patient(scenario what) {
  for (auto& load : what.loads)
    load.deadline = std::chrono::seconds{30};
  for (auto& [key, value] : what.config)
    if (key == "routing.time_limit_floor_ms") value = "20000";
  return what;
}

TEST(smoke_scenario, loses_nothing_while_its_gpu_fails_and_comes_back) {
  const auto loaded = load_scenario(std::filesystem::path{ENGRAM_SCENARIOS} / "smoke.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto what = patient(*loaded);
  const auto pipe = pipeline_for(what);
  const auto target = make_pipeline_target(*pipe);
  const auto found =
      run_replay(what, *target, [&](std::string_view name) { return pipe->find(name); });
  ASSERT_TRUE(found) << found.error().message;
  SCOPED_TRACE(to_table(*found));
  EXPECT_EQ(found->lost, 0u);
  EXPECT_EQ(found->duplicated, 0u);
  EXPECT_EQ(found->checks.wrong, 0u);
  EXPECT_GT(found->checks.checked, 0u);
  EXPECT_GT(found->total.answered, 0u);
  EXPECT_EQ(found->total.answered + found->total.errors, found->total.sent);

  // The breaker opened at the fault and closed again after it, by way of half_open.
  const auto first = found->breaker.begin(), last = found->breaker.end();
  const auto opened = std::find_if(first, last, [](const breaker_change& change) {
    return change.to == breaker_state::open && change.at_seconds > 1.5;
  });
  ASSERT_NE(opened, last);
  EXPECT_EQ(opened->from, breaker_state::closed);
  EXPECT_TRUE(std::any_of(opened, last, [](const breaker_change& change) {
    return change.from == breaker_state::half_open && change.to == breaker_state::closed;
  }));
}

} // namespace
