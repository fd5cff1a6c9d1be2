#include "engram/tests/simulation/simulation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace engram::simulation {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> story_of(std::uint64_t seed) {
  std::vector<std::string> lines;
  simulate(seed, [&lines](std::string_view line) { lines.emplace_back(line); });
  return lines;
}

TEST(simulation, tells_the_same_story_for_the_same_seed) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed)
    EXPECT_EQ(story_of(seed), story_of(seed)) << "seed " << seed;
  EXPECT_NE(story_of(1), story_of(2));
}

TEST(simulation, comes_to_the_same_end_whether_or_not_its_story_is_told) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed)
    EXPECT_EQ(simulate(seed).verdict(), story_of(seed).back());
}

TEST(simulation, says_what_its_world_is_like_and_how_it_ended) {
  const auto lines = story_of(1);
  EXPECT_THAT(lines.front(), HasSubstr("seed 1: gpu0"));
  EXPECT_THAT(lines.back(), HasSubstr("all promises kept"));
}

TEST(simulation, names_who_did_what) {
  std::set<std::string> who;
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    for (const auto& line : story_of(seed))
      if (const auto from = line.find(" ms  "); from != std::string::npos)
        who.insert(line.substr(from + 5, line.find(' ', from + 5) - from - 5));
  EXPECT_THAT(who, ::testing::IsSupersetOf({"caller", "answer", "cpu", "gpu0", "fault", "breaker",
                                            "restart", "device", "admin", "clock", "---"}));
}

TEST(simulation, has_trouble_of_every_kind) {
  seed_report sum;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    const auto each = simulate(seed);
    EXPECT_THAT(each.failures, IsEmpty()) << "seed " << seed;
    sum.requests += each.requests;
    sum.right += each.right;
    sum.excused += each.excused;
    sum.expired += each.expired;
    sum.cancelled += each.cancelled;
    sum.refused += each.refused;
    sum.failed += each.failed;
    sum.actor_deaths += each.actor_deaths;
    sum.child_deaths += each.child_deaths;
    sum.breaker_changes += each.breaker_changes;
  }
  EXPECT_GT(sum.right, sum.requests * 8 / 10);
  EXPECT_GT(sum.excused, 10u);
  EXPECT_GT(sum.expired, 100u);
  EXPECT_GT(sum.cancelled, 100u);
  EXPECT_GT(sum.refused, 100u);
  EXPECT_GT(sum.failed, 0u);
  EXPECT_GT(sum.actor_deaths, 500u);
  EXPECT_GT(sum.child_deaths, 300u);
  EXPECT_GT(sum.breaker_changes, 1'000u);
}

} // namespace
} // namespace engram::simulation
