#include "engram/replay/report.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "sample_report.hpp"

namespace {

using namespace engram;
using namespace engram::replay;
using engram::replay::test::sample_report;

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
  const auto& sources = out["answers"]["by_device"];
  ASSERT_EQ(sources.size(), 3u);
  EXPECT_EQ(std::count_if(sources.begin(), sources.end(),
                          [](const auto& row) {
                            return row["device"] == "cpu" && row["reason"] == "gpu" &&
                                   row["fell_back"] == true && row["count"] == 4;
                          }),
            1);
  EXPECT_EQ(sources[2]["label"], "gpu0 (simulated)");
  EXPECT_EQ(sources[2]["fell_back"], false);
  EXPECT_DOUBLE_EQ(out["generator"]["late_limit_seconds"].get<double>(), 0.001);
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

TEST(replay_table, says_why_the_cpu_answered_for_the_gpu_and_so_does_the_page) {
  const auto what = sample_report();
  EXPECT_NE(to_table(what).find("gpu, fell back"), std::string::npos) << to_table(what);
  EXPECT_NE(to_html(what).find("gpu, fell back"), std::string::npos);
}

TEST(replay_table, names_the_limit_of_late_sends_and_so_does_the_page) {
  auto what = sample_report();
  what.what.goal.p99 = std::chrono::milliseconds{250};
  what.late_sends = 3;
  EXPECT_NE(to_table(what).find("3 sent more than 5 ms late (0.5 %)"), std::string::npos)
      << to_table(what);
  EXPECT_NE(to_html(what).find("sent more than 5 ms late; above 1 % the run is invalid"),
            std::string::npos);
}

TEST(replay_table, says_once_that_it_was_cut_short) {
  auto what = sample_report();
  what.cut_short = true;
  what.measured_seconds = 1.234;
  what.judgement = judge(what);
  const auto table = to_table(what);
  const auto said = table.find("cut short after 1.23 s of 2 s");
  ASSERT_NE(said, std::string::npos) << table;
  EXPECT_EQ(table.find("cut short"), said);
  EXPECT_EQ(table.find("cut short", said + 1), std::string::npos) << table;
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
