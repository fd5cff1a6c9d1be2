// A GPU that computes wrongly is found: a share of its answers is repeated by the CPU after they
// were given, an idle GPU is asked what is known, and a mismatch from either takes it out at once.

#include "engram/tests/actors/virtual_pipeline.hpp"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace {

using namespace engram;
using namespace engram::test;

using act = scripted_device::act;

pipeline_options checking(double share, double canary_interval_ms = 0) {
  auto options = eager_gpu();
  options.gpu.verification.check_share = share;
  options.gpu.verification.canary_interval_ms = canary_interval_ms;
  return options;
}

double checks(virtual_pipeline& pipe, int gpu = 0) {
  return pipe.metric("engram_gpu_checks_total{device=\"gpu" + std::to_string(gpu) + "\"}");
}
double wrong_answers(virtual_pipeline& pipe, int gpu = 0) {
  return pipe.metric("engram_gpu_wrong_answers_total{device=\"gpu" + std::to_string(gpu) + "\"}");
}

std::size_t ask(virtual_pipeline& pipe, const dataset_ptr& data, std::size_t queries = 1) {
  const auto r = pipe.submit(pipe.search(data, queries));
  pipe.run();
  return r;
}

// -- answers that are repeated

TEST(answer_check, a_share_of_the_gpu_s_answers_is_repeated_by_the_cpu) {
  virtual_pipeline pipe{checking(0.1)};
  const auto data = pipe.publish();
  for (int i = 0; i < 100; ++i)
    ask(pipe, data);
  EXPECT_EQ(checks(pipe), 10);
  EXPECT_EQ(pipe.cpu().seen.size(), 10u);
  EXPECT_EQ(wrong_answers(pipe), 0);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
}

TEST(answer_check, what_the_cpu_answers_is_not_checked) {
  auto options = checking(1);
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  ask(pipe, data);
  EXPECT_EQ(pipe.cpu().seen.size(), 1u);
  EXPECT_TRUE(pipe.gpu().seen.empty());
}

TEST(answer_check, a_mismatch_takes_the_gpu_out_at_once) {
  virtual_pipeline pipe{checking(1)};
  const auto data = pipe.publish();
  ask(pipe, data);
  pipe.gpu().script = {{.what = act::kind::wrong}};
  ask(pipe, data);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
  EXPECT_EQ(wrong_answers(pipe), 1);
  EXPECT_EQ(pipe.core().shadow_mismatches, 1u);
  std::string told;
  for (const auto& event : pipe.core().events.after(0))
    if (event.kind == "wrong_answer" || event.kind == "breaker")
      told += event.subject + " " + event.detail + "\n";
  EXPECT_EQ(told, "gpu0 search on vectors version 1: the CPU says otherwise, first in part 1 of 1\n"
                  "gpu0 closed -> open: wrong_answer\n");
}

TEST(answer_check, is_begun_after_the_answer_was_given) {
  virtual_pipeline pipe{checking(1)};
  const auto data = pipe.publish();
  bool answered_before = false;
  std::size_t r = 0;
  pipe.cpu().on_run = [&] { answered_before = pipe.answered(r); };
  r = ask(pipe, data);
  EXPECT_EQ(pipe.cpu().seen.size(), 1u);
  EXPECT_TRUE(answered_before);
}

TEST(answer_check, waits_while_the_cpu_answers) {
  auto options = checking(1);
  options.gpu.gpu_min_batch_size = 2;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().latency = 20ms;
  const auto small = ask(pipe, data); // the CPU's
  const auto large = ask(pipe, data, 2);
  EXPECT_TRUE(pipe.is_right(large));
  EXPECT_EQ(pipe.core().checks.size(), 1u);
  pipe.advance(19ms);
  EXPECT_EQ(pipe.cpu().seen.size(), 1u);
  pipe.advance(2ms);
  EXPECT_TRUE(pipe.is_right(small));
  EXPECT_EQ(pipe.cpu().seen.size(), 2u) << "its turn has come";
  pipe.advance(20ms);
  EXPECT_EQ(checks(pipe), 1);
}

TEST(answer_check, is_not_left_out_because_the_cpu_is_never_idle) {
  auto options = checking(1);
  options.gpu.gpu_min_batch_size = 2;
  options.batching.target_batch_size = 2;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().latency = 20ms;
  const auto keep_busy = [&] { // one answer every 15 ms, which take 20
    for (int i = 0; i < 40; ++i) {
      pipe.submit(pipe.search(data), 5s);
      pipe.advance(15ms);
    }
  };
  ask(pipe, data);
  ask(pipe, data, 2);
  keep_busy();
  EXPECT_EQ(checks(pipe), 1);
  EXPECT_GT(pipe.core().ledger.runs_on(0), 0u) << "still busy";
  pipe.advance(100ms);
  for (std::size_t r = 0; r < pipe.requests.size(); ++r)
    EXPECT_TRUE(pipe.is_right(r));
}

TEST(answer_check, few_wait_however_slow_the_cpu_is) {
  virtual_pipeline pipe{checking(1)};
  const auto data = pipe.publish();
  pipe.cpu().latency = 10s;
  for (int i = 0; i < 100; ++i)
    ask(pipe, data);
  EXPECT_LE(pipe.core().checks.size(), 8u);
  EXPECT_EQ(pipe.core().ledger.runs_on(0), 1u) << "one at a time";
}

TEST(answer_check, of_a_batch_that_takes_the_cpu_long_repeats_a_part_another_each_time) {
  virtual_pipeline pipe{checking(1)};
  const auto data = pipe.publish();
  const auto payload = pipe.search(data, 100);
  // 100 queries would take it a second.
  pipe.core().costs.add({operation::search, 0, data->key}, work_of(*payload, 100), 1.0);
  pipe.cpu().seconds_per_work = 1.0 / work_of(*payload, 100);
  std::set<std::size_t> firsts;
  for (int i = 0; i < 5; ++i) {
    ask(pipe, data, 100);
    ASSERT_EQ(pipe.cpu().seen.size(), static_cast<std::size_t>(i + 1));
    const auto& part = *pipe.cpu().seen.back();
    EXPECT_EQ(part.item_count(), 1u) << "1 % of it";
    firsts.insert(part.items[0].first);
  }
  EXPECT_EQ(checks(pipe), 5);
  EXPECT_EQ(wrong_answers(pipe), 0);
  EXPECT_EQ(firsts.size(), 5u);
}

TEST(answer_check, that_dies_with_its_worker_is_made_up_for) {
  virtual_pipeline pipe{checking(0.1)};
  const auto data = pipe.publish();
  pipe.arm("cpu.worker=1*exit");
  for (int i = 0; i < 20; ++i) {
    ask(pipe, data);
    pipe.advance(1ms);
  }
  EXPECT_EQ(checks(pipe), 2) << "the first was lost";
  EXPECT_EQ(pipe.core().actor_restarts, 1u);
}

TEST(answer_check, survives_the_router) {
  auto options = checking(1);
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  pipe.cpu().latency = 10ms;
  ask(pipe, data);
  ask(pipe, data);
  ASSERT_EQ(pipe.core().checks.size(), 1u);
  pipe.arm("actor.router=1*exit");
  pipe.advance(100ms);
  EXPECT_EQ(pipe.core().actor_restarts, 1u);
  EXPECT_EQ(checks(pipe), 2);
}

TEST(answer_check, a_wrong_answer_from_before_the_gpu_proved_itself_does_not_take_it_out_again) {
  virtual_pipeline pipe{checking(1)};
  const auto data = pipe.publish();
  pipe.cpu().latency = 1ms;
  pipe.gpu().script = {{}, {.what = act::kind::wrong}};
  ask(pipe, data);
  ask(pipe, data);
  ASSERT_EQ(pipe.core().checks.size(), 1u) << "the check of the wrong one waits";
  pipe.core().breakers[1].on_fatal(pipe.clock.now(), "the test");
  pipe.clock.advance(1us); // the check is of what came before
  pipe.core().breakers[1].on_restored(pipe.clock.now(), "the test");
  for (int i = 0; i < 5; ++i)
    pipe.core().breakers[1].on_probe(true, pipe.clock.now(), "");
  pipe.advance(10ms);
  EXPECT_EQ(wrong_answers(pipe), 1);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
}

// -- canaries

TEST(canary, an_idle_gpu_is_asked_what_is_known) {
  virtual_pipeline pipe{checking(0, 100)};
  const auto data = pipe.publish();
  pipe.advance(1s + 50ms);
  EXPECT_EQ(checks(pipe), 10);
  EXPECT_EQ(pipe.gpu().seen.size(), 10u);
  EXPECT_EQ(pipe.breaker(), breaker_state::closed);
}

TEST(canary, a_gpu_with_traffic_gets_none) {
  virtual_pipeline pipe{checking(0, 100)};
  const auto data = pipe.publish();
  for (int i = 0; i < 20; ++i) {
    ask(pipe, data);
    pipe.advance(60ms);
  }
  EXPECT_EQ(checks(pipe), 0);
  EXPECT_EQ(pipe.gpu().seen.size(), 20u);
}

TEST(canary, each_asks_for_other_rows) {
  virtual_pipeline pipe{checking(0, 100)};
  const auto data = pipe.publish("vectors", 1'000);
  pipe.advance(1s + 50ms);
  std::set<row_id> rows;
  for (const auto& batch : pipe.gpu().seen)
    rows.insert(batch->items[0].payload->ids.front());
  EXPECT_EQ(rows.size(), 10u);
}

TEST(canary, without_a_dataset_there_is_one_too) {
  virtual_pipeline pipe{checking(0, 100)};
  pipe.advance(150ms);
  EXPECT_EQ(checks(pipe), 1);
}

TEST(canary, a_wrong_answer_takes_the_gpu_out_before_anybody_asks) {
  virtual_pipeline pipe{checking(0, 100)};
  pipe.publish();
  pipe.gpu().script = {{.what = act::kind::wrong}};
  pipe.advance(101ms);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
  EXPECT_EQ(wrong_answers(pipe), 1);
}

TEST(canary, a_gpu_that_hangs_is_found_while_nobody_asks) {
  virtual_pipeline pipe{checking(0, 100)};
  pipe.publish();
  pipe.gpu().script = {{.what = act::kind::hang}};
  pipe.advance(100ms + 50ms + 1s + 1ms); // the interval, the limit, and hung
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
}

TEST(canary, a_lost_gpu_is_found_while_nobody_asks) {
  virtual_pipeline pipe{checking(0, 100)};
  pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = fault_class::sticky}};
  pipe.advance(101ms);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
}

TEST(canary, a_gpu_that_is_out_gets_none_and_one_that_is_back_does) {
  virtual_pipeline pipe{checking(0, 100)};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::fail, .fault = fault_class::sticky}};
  ask(pipe, data);
  const auto before = pipe.gpu().seen.size();
  pipe.advance(990ms); // the cool-down is 1 s
  EXPECT_EQ(pipe.gpu().seen.size(), before);
  pipe.advance(1s); // five probes close it
  ASSERT_EQ(pipe.breaker(), breaker_state::closed);
  const auto closed = checks(pipe);
  pipe.advance(1s);
  EXPECT_GE(checks(pipe), closed + 9);
}

TEST(canary, gpus_that_nobody_may_use_get_none) {
  auto options = checking(0, 100);
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  pipe.publish();
  pipe.advance(1s);
  EXPECT_TRUE(pipe.gpu().seen.empty());
}

TEST(canary, waits_for_a_cpu_that_is_busy) {
  virtual_pipeline pipe{checking(0, 100)};
  const auto data = pipe.publish();
  pipe.gpu().retire(data->key); // what is asked is the CPU's
  pipe.cpu().latency = 300ms;
  for (int i = 0; i < 3; ++i) // two run, one waits
    ask(pipe, data);
  pipe.advance(250ms);
  EXPECT_TRUE(pipe.gpu().seen.empty());
  for (std::size_t r = 0; r < 3; ++r)
    EXPECT_FALSE(pipe.answered(r));
  pipe.advance(2s);
  EXPECT_FALSE(pipe.gpu().seen.empty());
}

TEST(canary, a_new_interval_is_followed) {
  virtual_pipeline pipe{checking(0, 100)};
  const auto data = pipe.publish();
  pipe.core().set_options(checking(0, 0));
  pipe.advance(1s);
  const auto before = checks(pipe);
  EXPECT_LE(before, 1) << "one was on its way";
  pipe.core().set_options(checking(0, 10));
  ask(pipe, data); // the router hears of it with its next message
  pipe.advance(100ms);
  EXPECT_GE(checks(pipe), before + 9);
}

// -- what becomes of a finding

struct finding : ::testing::Test {
  finding()
      : folder(std::filesystem::path{::testing::TempDir()} /
               ("engram-findings-" + std::to_string(getpid()))) {
    std::filesystem::remove_all(folder);
  }
  ~finding() override { std::filesystem::remove_all(folder); }

  pipeline_options writing(pipeline_options options) {
    options.gpu.verification.evidence_directory = folder.string();
    return options;
  }
  /// Returns what was written; only once the pipeline is gone, which waits for it.
  std::vector<nlohmann::json> written() {
    std::vector<nlohmann::json> out;
    for (const auto& each : std::filesystem::directory_iterator{folder}) {
      std::ifstream file{each.path()};
      out.push_back(nlohmann::json::parse(file));
    }
    return out;
  }
  std::filesystem::path folder;
};

TEST_F(finding, of_a_check_is_written_with_what_each_side_said) {
  std::vector<item_output> right;
  {
    virtual_pipeline pipe{writing(checking(1))};
    const auto data = pipe.publish();
    pipe.gpu().script = {{.what = act::kind::wrong}};
    ask(pipe, data, 2);
    right = compute_reference(*pipe.cpu().seen.at(0));
  }
  const auto files = written();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0]["device"], "gpu0");
  EXPECT_EQ(files[0]["op"], "search");
  EXPECT_EQ(files[0]["dataset"]["name"], "vectors");
  const auto& item = files[0]["items"][0];
  ASSERT_EQ(item["cpu"]["hits"].size(), right[0].hits.size());
  for (std::size_t h = 0; h < right[0].hits.size(); ++h) {
    EXPECT_EQ(item["cpu"]["hits"][h]["score"].get<float>(), right[0].hits[h].score);
    EXPECT_EQ(item["gpu"]["hits"][h]["score"].get<float>(), right[0].hits[h].score + 1.0f);
  }
}

TEST_F(finding, of_a_canary_a_probe_and_a_shadow_run_is_written_too) {
  {
    auto options = writing(checking(0, 100));
    virtual_pipeline pipe{options};
    pipe.publish();
    pipe.gpu().script = {{.what = act::kind::wrong}, {.what = act::kind::wrong}};
    pipe.advance(101ms); // the canary
    ASSERT_EQ(pipe.breaker(), breaker_state::open);
    pipe.advance(1200ms); // and the first probe
    ASSERT_EQ(wrong_answers(pipe), 2);
    options.routing.shadow_share = 0.5;
    pipe.core().set_options(options);
    pipe.advance(60s);
    ASSERT_EQ(pipe.breaker(), breaker_state::closed);
    const auto data = pipe.core().datasets.find("vectors");
    pipe.gpu().script = {{.what = act::kind::wrong}, {.what = act::kind::wrong}};
    ask(pipe, data);
    ask(pipe, data);
    ASSERT_EQ(wrong_answers(pipe), 3);
  }
  const auto files = written();
  EXPECT_EQ(files.size(), 3u);
  for (const auto& each : files)
    EXPECT_NE(each["items"][0]["gpu"], each["items"][0]["cpu"]);
}

TEST_F(finding, that_cannot_be_written_changes_nothing_else) {
  std::ofstream{folder} << "in the way";
  virtual_pipeline pipe{writing(checking(1))};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = act::kind::wrong}};
  ask(pipe, data);
  EXPECT_EQ(pipe.breaker(), breaker_state::open);
  EXPECT_TRUE(pipe.is_right(ask(pipe, data)));
}

} // namespace
