// What a person finds who looks for a wrong answer.

#include "engram/actors/evidence.hpp"
#include "engram/kernels/cosine.hpp"
#include "engram/tests/support/manual_clock.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <thread>

namespace {

using namespace engram;
using namespace engram::test;
using nlohmann::json;
namespace fs = std::filesystem;

struct evidence : ::testing::Test {
  evidence()
      : folder(fs::path{::testing::TempDir()} /
               ("engram-evidence-" + std::to_string(getpid()) + "-" +
                ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(folder);
  }
  ~evidence() override { fs::remove_all(folder); }

  /// A similarity of two targets that the GPU got wrong in the second.
  wrong_answer wrong(float said = 0.25f) {
    auto payload = std::make_shared<work_payload>();
    payload->op = operation::similarity;
    payload->dim = 2;
    payload->queries = {0.1f, -0.0f};
    payload->inverse_norms = {inverse_norm(payload->queries)};
    payload->targets = {9, 9, 1, 0.3f, 1e-40f, 3};
    auto batch = std::make_shared<work_batch>();
    batch->op = operation::similarity;
    batch->dim = 2;
    batch->items = {{payload, 1, 2}};
    const auto outputs = [](float second) {
      item_output out;
      out.scores = {0.5f, second};
      return std::make_shared<const std::vector<item_output>>(std::vector{out});
    };
    return {"gpu0", "a card", batch, outputs(said), outputs(1.0f / 3.0f)};
  }

  std::vector<fs::path> files() const {
    std::vector<fs::path> out;
    if (fs::exists(folder))
      for (const auto& each : fs::directory_iterator{folder})
        out.push_back(each.path());
    return out;
  }
  std::size_t events_with(const std::string& words) const {
    const auto all = log.after(0);
    return static_cast<std::size_t>(std::ranges::count_if(all, [&](const auto& event) {
      return event.kind == "evidence" && event.detail.find(words) != std::string::npos;
    }));
  }
  void write(int findings, const fs::path& where) {
    evidence_writer writer{log, clock};
    writer.set_directory(where.string());
    for (int i = 0; i < findings; ++i)
      writer.keep(wrong());
  }

  fs::path folder;
  manual_alarm_clock clock;
  event_log log;
};

TEST_F(evidence, has_all_it_takes_to_repeat_the_batch_to_the_bit) {
  const auto what = json::parse(to_json(wrong(), {}));
  EXPECT_EQ(what.at("time"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(what.at("device"), "gpu0");
  EXPECT_EQ(what.at("model"), "a card");
  EXPECT_EQ(what.at("op"), "similarity");
  const auto& item = what.at("items").at(0);
  EXPECT_EQ(item.at("differs"), true);
  const auto& inputs = item.at("inputs");
  EXPECT_EQ(inputs.at("query").at(0).get<float>(), 0.1f);
  EXPECT_TRUE(std::signbit(inputs.at("query").at(1).get<float>()));
  ASSERT_EQ(inputs.at("targets").size(), 2u) << "of the three that the request brought";
  EXPECT_EQ(inputs.at("targets").at(0), (json::array({1.0, static_cast<double>(0.3f)})));
  EXPECT_EQ(inputs.at("targets").at(1).at(0).get<float>(), 1e-40f) << "a denormal";
  EXPECT_EQ(item.at("gpu").at("scores").at(1).get<float>(), 0.25f);
  EXPECT_EQ(item.at("cpu").at("scores").at(1).get<float>(), 1.0f / 3.0f);
}

TEST_F(evidence, numbers_that_json_cannot_say_are_their_bits) {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(json::parse(to_json(wrong(nan), {}))["items"][0]["gpu"]["scores"][1], "0x7fc00000");
  EXPECT_EQ(json::parse(to_json(wrong(-INFINITY), {}))["items"][0]["gpu"]["scores"][1],
            "0xff800000");
}

TEST_F(evidence, names_dataset_and_options_and_each_operation_s_inputs) {
  auto graph = std::make_shared<dataset>();
  graph->name = "ring \xff"; // a name that is no UTF-8
  graph->version = 7;
  graph->content = *activation_graph::make(2, {{0, 1, 0.5f}});
  auto spread = std::make_shared<work_payload>();
  spread->op = operation::spread;
  spread->data = graph;
  spread->seed_sets = {{{0, 0.5f}}, {{1, 1.0f}, {0, 0.25f}}};
  auto finding = wrong();
  auto batch = std::make_shared<work_batch>();
  batch->op = operation::spread;
  batch->data = graph;
  batch->items = {{spread, 1, 1}};
  item_output said;
  said.hits = {{1, 0.5f}};
  said.counts = {1};
  said.hops = {2};
  finding.batch = batch;
  finding.gpu = std::make_shared<const std::vector<item_output>>(std::vector{said});
  finding.cpu = std::make_shared<const std::vector<item_output>>();
  const auto what = json::parse(to_json(finding, {}));
  EXPECT_EQ(what.at("dataset").at("version"), 7);
  EXPECT_EQ(what["items"][0]["inputs"]["seed_sets"],
            json::parse(R"([[{"node":1,"amount":1.0},{"node":0,"amount":0.25}]])"));
  EXPECT_EQ(what["items"][0]["inputs"]["max_hops"], 3);
  EXPECT_EQ(what["items"][0]["gpu"],
            json::parse(R"({"counts":[1],"hops":[2],"hits":[{"id":1,"score":0.5}],"scores":[]})"));
  EXPECT_EQ(what["items"][0]["cpu"], nullptr) << "there was no output";
}

TEST_F(evidence, is_one_file_a_finding_in_a_folder_that_is_made) {
  write(3, folder / "deep");
  std::size_t found = 0;
  for (const auto& each : fs::directory_iterator{folder / "deep"}) {
    ++found;
    const std::regex pattern{R"(wrong-answer-\d{8}T\d{6}\.\d{3}Z-\d+-[123]\.json)"};
    EXPECT_TRUE(std::regex_match(each.path().filename().string(), pattern)) << each.path();
    std::ifstream file{each.path()};
    EXPECT_EQ(json::parse(file).at("device"), "gpu0");
  }
  EXPECT_EQ(found, 3u);
  EXPECT_EQ(events_with("the wrong answer is in " + (folder / "deep").string()), 3u);
}

TEST_F(evidence, without_a_directory_nothing_is_written_and_nothing_runs) {
  evidence_writer writer{log, clock};
  writer.keep(wrong());
  EXPECT_TRUE(log.after(0).empty());
}

TEST_F(evidence, that_cannot_be_written_is_an_event) {
  std::ofstream{folder} << "a file where the folder should be";
  write(2, folder);
  EXPECT_EQ(events_with("cannot be written"), 2u);
  fs::remove(folder);
  write(1, folder); // and the next may succeed
  EXPECT_EQ(files().size(), 1u);
}

TEST_F(evidence, ends_after_a_hundred_files_and_says_so_once) {
  {
    evidence_writer writer{log, clock};
    writer.set_directory(folder.string());
    for (std::size_t i = 1; i <= evidence_writer::most_files; ++i) {
      writer.keep(wrong());
      while (events_with("the wrong answer is in") < i)
        std::this_thread::yield();
    }
    for (int i = 0; i < 5; ++i)
      writer.keep(wrong());
  }
  EXPECT_EQ(files().size(), evidence_writer::most_files);
  EXPECT_EQ(events_with("nor will later ones be"), 1u);
}

/// Tells the time to one thread; the others wait until they are let go.
class stuck_clock final : public clock_source {
public:
  time_point now() const noexcept override {
    if (std::this_thread::get_id() != owner_) {
      stuck_ = true;
      free_.wait(false);
    }
    return {};
  }
  void wait_until_stuck() const {
    while (!stuck_)
      std::this_thread::yield();
  }
  void let_go() {
    free_ = true;
    free_.notify_all();
  }

private:
  std::thread::id owner_ = std::this_thread::get_id();
  mutable std::atomic<bool> stuck_{false};
  std::atomic<bool> free_{false};
};

TEST_F(evidence, what_comes_faster_than_it_is_written_is_left_out_not_piled_up) {
  stuck_clock slow;
  {
    evidence_writer writer{log, slow};
    writer.set_directory(folder.string());
    writer.keep(wrong());
    slow.wait_until_stuck(); // in the note about the first
    for (int i = 0; i < 8 + 2; ++i)
      writer.keep(wrong());
    EXPECT_EQ(events_with("not written: 8 others wait"), 2u);
    slow.let_go();
  }
  EXPECT_EQ(files().size(), 1u + 8u);
}

} // namespace
