#include "engram/replay/report.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>
#include <sstream>

#include "sample_report.hpp"

namespace {

using namespace engram;
using namespace engram::replay;
using engram::replay::testing::sample_report;

nlohmann::json parsed(const report& what) {
  return nlohmann::json::parse(to_json(what));
}

TEST(replay_json, carries_the_numbers_of_the_report) {
  const auto out = parsed(sample_report());
  EXPECT_EQ(out["format"], "engram-replay/1");
  EXPECT_EQ(out["verdict"]["kind"], "FAIL");
  EXPECT_EQ(out["scenario"]["name"], "</script><b>demo");
  EXPECT_EQ(out["total"]["sent"], 600);
  EXPECT_DOUBLE_EQ(out["total"]["requested_per_second"], 300.0);
  EXPECT_NEAR(out["total"]["response_seconds"]["p50"].get<double>(), 0.004, 0.0001);
  EXPECT_EQ(out["loads"].size(), 3u);
  EXPECT_EQ(out["loads"][1]["op"], "spread");
  EXPECT_EQ(out["correctness"]["wrong"], 1);
  EXPECT_EQ(out["answers"]["by_device"][1]["label"], "gpu0 (simulated)");
  EXPECT_EQ(out["devices"][1]["simulated"], true);
  EXPECT_EQ(out["breaker"]["changes"][0]["to"], "open");
  EXPECT_NEAR(out["breaker"]["changes"][0]["after_fault_seconds"].get<double>(), 0.02, 1e-9);
  EXPECT_EQ(out["slices"].size(), 12u);
  EXPECT_EQ(out["slices"][0]["by_device"]["gpu0"], 34);
}

TEST(replay_json, survives_bytes_that_are_no_text) {
  const auto out = parsed(sample_report());
  EXPECT_EQ(out.at("errors").at(0).at("example"), "too <many> \xEF\xBF\xBD requests");
}

TEST(replay_json, has_no_key_at_the_top_that_the_readme_does_not_document) {
  std::ifstream in{ENGRAM_REPLAY_README};
  std::ostringstream readme;
  readme << in.rdbuf();
  const auto out = parsed(sample_report());
  for (const auto& [key, value] : out.items())
    EXPECT_NE(readme.str().find('`' + key + '`'), std::string::npos) << key;
}

TEST(replay_table, shows_verdict_rates_answers_and_the_timeline) {
  const auto table = to_table(sample_report());
  for (const auto* expected :
       {"FAIL\n  1 answer differs from the reference", "gpu0 (simulated)", "search load",
        "fault    gpu0.launch=return(sticky)", "closed -> open: sticky",
        "open -> half_open: cool-down over", "half_open -> closed: 5 good probes",
        "lost 0   duplicated 0   wrong 1 of 9", "error overloaded: 3"})
    EXPECT_NE(table.find(expected), std::string::npos) << expected << "\n" << table;
}

TEST(replay_report, is_written_as_json_and_page_into_a_folder_that_it_makes) {
  const auto folder = std::filesystem::path{::testing::TempDir()} / "replay-report" / "deep";
  std::filesystem::remove_all(folder.parent_path());
  const auto written = write_report(sample_report(), folder);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_GT(std::filesystem::file_size(folder / "replay.json"), 1000u);
  EXPECT_GT(std::filesystem::file_size(folder / "report.html"), 1000u);
}

TEST(replay_report, names_the_folder_that_cannot_be_made) {
  const auto written = write_report(sample_report(), "/proc/nothing/here");
  ASSERT_FALSE(written);
  EXPECT_TRUE(written.error().message.starts_with("/proc/nothing/here: cannot be made a folder"))
      << written.error().message;
}

} // namespace
