#include "engram/bench/gpu/baseline.hpp"
#include "engram/bench/gpu/run_json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "records.hpp"

namespace engram::bench {
namespace {

using testing::HasSubstr;

class baselines : public testing::Test {
protected:
  baselines()
      : directory_(std::filesystem::temp_directory_path() /
                   ("engram-baselines-" + std::to_string(getpid()))),
        store_(directory_ / "deep" / "down") {}
  ~baselines() override { std::filesystem::remove_all(directory_); }

  std::string trouble_with(const std::string& text) {
    std::filesystem::create_directories(directory_ / "deep" / "down");
    std::ofstream{directory_ / "deep" / "down" / "broken.json"} << text;
    const auto run = store_.load("broken");
    if (run) return "none";
    EXPECT_EQ(ec::invalid_argument, run.error().code);
    return run.error().message;
  }

  std::filesystem::path directory_;
  baseline_store store_;
};

run_record sample() {
  auto run = run_of({record_of("search", 16, 1.0 / 3, 2e-6), record_of("score", 16, 1e-3, 1)});
  run.cases[0].figures["vectors_per_second"] = 1.0 / 7;
  run.cases[1].trouble = "it said \"no\"\nand \xff";
  run.cases[1].trouble.pop_back(); // a byte that is no UTF-8 would come back as a replacement
  return run;
}

TEST_F(baselines, come_back_as_they_were_saved) {
  const auto run = sample();
  const auto saved = store_.save("before_1.2-x", run);
  ASSERT_TRUE(saved) << saved.error().message;
  const auto loaded = store_.load("before_1.2-x");
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ(run, *loaded);
}

TEST_F(baselines, are_replaced_by_a_later_one_of_the_same_name) {
  ASSERT_TRUE(store_.save("x", sample()));
  auto later = sample();
  later.commit = "later";
  ASSERT_TRUE(store_.save("x", later));
  EXPECT_EQ("later", store_.load("x")->commit);
  EXPECT_EQ(1,
            std::distance(std::filesystem::directory_iterator{directory_ / "deep" / "down"}, {}));
}

TEST_F(baselines, that_are_not_there_are_named_with_those_that_are) {
  EXPECT_THAT(store_.load("x").error().message, HasSubstr("there is none"));
  ASSERT_TRUE(store_.save("b", sample()));
  ASSERT_TRUE(store_.save("a", sample()));
  const auto run = store_.load("x");
  ASSERT_FALSE(run);
  EXPECT_EQ(ec::not_found, run.error().code);
  EXPECT_THAT(run.error().message, HasSubstr("there is a, b"));
}

TEST_F(baselines, do_not_leave_their_directory) {
  for (const auto* name : {"", ".", "..", "../x", "a/b", ".hidden", "a b", "a\n"}) {
    EXPECT_EQ(ec::invalid_argument, store_.save(name, sample()).error().code) << name;
    EXPECT_EQ(ec::invalid_argument, store_.load(name).error().code) << name;
  }
}

TEST_F(baselines, that_cannot_be_written_say_so) {
  std::ofstream{directory_} << "a file where the directory should be";
  const auto saved = store_.save("x", sample());
  ASSERT_FALSE(saved);
  EXPECT_EQ(ec::unavailable, saved.error().code);
}

TEST_F(baselines, that_are_corrupt_say_where) {
  EXPECT_THAT(trouble_with(""), HasSubstr("is no JSON from byte"));
  EXPECT_THAT(trouble_with("{\"format\":"), HasSubstr("is no JSON from byte"));
  const auto text = to_json(sample());
  for (const std::size_t length : {text.size() / 4, text.size() / 2, text.size() - 3})
    EXPECT_THAT(trouble_with(text.substr(0, length)), HasSubstr("is no JSON from byte")) << length;
}

TEST_F(baselines, of_another_program_or_format_are_refused) {
  EXPECT_THAT(trouble_with("[]"), HasSubstr("not written by this program"));
  EXPECT_THAT(trouble_with("{}"), HasSubstr("not written by this program"));
  EXPECT_THAT(trouble_with("{\"format\":3}"), HasSubstr("unusable"));
  auto text = to_json(sample());
  const std::string version = "\"format_version\": 1";
  text.replace(text.find(version), version.size(), "\"format_version\": 2");
  EXPECT_THAT(trouble_with(text), HasSubstr("format version 2, not 1"));
}

TEST_F(baselines, with_parts_missing_or_impossible_are_refused) {
  auto text = to_json(sample());
  const auto without = [&](const std::string& part, const std::string& other) {
    auto changed = text;
    changed.replace(changed.find(part), part.size(), other);
    return changed;
  };
  EXPECT_THAT(trouble_with(without("\"commit\"", "\"omitted\"")), HasSubstr("missing"));
  EXPECT_THAT(trouble_with(without("\"cores\": 16", "\"cores\": \"16\"")), HasSubstr("wrong type"));
  EXPECT_THAT(trouble_with(without("\"vectors_per_second\": 0.", "\"vectors_per_second\": \"")),
              HasSubstr("no JSON"));
  auto run = sample();
  run.cases[0].seconds["cpu"][0] = -1;
  EXPECT_THAT(trouble_with(to_json(run)), HasSubstr("below 0"));
}

TEST(baseline_directory, follows_the_environment) {
  setenv("XDG_STATE_HOME", "/somewhere", 1);
  EXPECT_EQ("/somewhere/engram/baselines", default_baseline_directory());
  setenv("XDG_STATE_HOME", "", 1);
  EXPECT_EQ(".engram-baselines", default_baseline_directory());
  unsetenv("XDG_STATE_HOME");
  EXPECT_EQ(".engram-baselines", default_baseline_directory());
}

} // namespace
} // namespace engram::bench
