#include "engram/bench/gpu/bench_case.hpp"
#include "engram/bench/gpu/name_filter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace engram::bench {
namespace {

TEST(name_filter, a_word_is_any_part_of_a_name) {
  EXPECT_TRUE(matches("cosine_search_resident/128", "search"));
  EXPECT_TRUE(matches("cosine_search_resident/128", "dent"));
  EXPECT_FALSE(matches("cosine_search_resident/128", "spread"));
}

TEST(name_filter, with_a_slash_the_pieces_are_whole) {
  EXPECT_TRUE(matches("cosine_similarity_cpu_vs_gpu/128", "cosine_similarity_cpu_vs_gpu/128"));
  EXPECT_FALSE(matches("cosine_similarity_cpu_vs_gpu/1280", "cosine_similarity_cpu_vs_gpu/128"));
  EXPECT_FALSE(matches("cosine_similarity_cpu_vs_gpu/128", "cpu_vs_gpu/128"));
  EXPECT_TRUE(matches("search/1000000x768/bf16/q1", "bf16/q1"));
  EXPECT_FALSE(matches("search/1000000x768/bf16/q16", "bf16/q1"));
  EXPECT_FALSE(matches("search/1000000x768/bf16/q1", "search/q1"));
}

TEST(name_filter, a_slash_at_an_end_makes_one_piece_whole) {
  EXPECT_TRUE(matches("search/1024x768/f32/q1", "search/"));
  EXPECT_FALSE(matches("cosine_search_resident/128", "search/"));
  EXPECT_TRUE(matches("search/1024x768/f32/q1", "/q1"));
}

TEST(name_filter, a_slash_alone_names_nothing) {
  EXPECT_FALSE(matches("search/1024x768/f32/q1", "/"));
}

TEST(name_filter, no_filter_lets_everything_through_and_one_is_enough) {
  EXPECT_TRUE(matches_any("score_cpu_vs_gpu/16", {}));
  EXPECT_TRUE(matches_any("score_cpu_vs_gpu/16", {"spread", "score"}));
  EXPECT_FALSE(matches_any("score_cpu_vs_gpu/16", {"spread", "search"}));
}

TEST(bench_cases, have_names_of_their_own_that_begin_with_their_family) {
  std::set<std::string> names;
  for (const auto& each : all_cases()) {
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
    EXPECT_TRUE(each.name.starts_with(each.family + '/')) << each.name;
  }
}

TEST(bench_cases, of_one_family_stand_together) {
  std::set<std::string> finished;
  std::string current;
  for (const auto& each : all_cases()) {
    if (each.family == current) continue;
    EXPECT_FALSE(finished.contains(each.family)) << each.family << " comes twice";
    finished.insert(current);
    current = each.family;
  }
}

TEST(bench_cases, the_guide_s_filter_names_exactly_one) {
  const auto cases = all_cases();
  for (const auto* size : {"16", "32", "64", "128", "256", "512"}) {
    const auto filter = std::string{"cosine_similarity_cpu_vs_gpu/"} + size;
    EXPECT_EQ(1, std::count_if(cases.begin(), cases.end(),
                               [&](const auto& each) { return matches(each.name, filter); }))
        << filter;
  }
}

TEST(bench_cases, gigabytes_are_marked_as_large) {
  for (const auto& each : all_cases()) {
    const auto bytes = each.work.rows * (each.work.op == operation::spread
                                             ? 16 * 2 * (sizeof(node_id) + sizeof(float))
                                             : each.work.dim * size_of(each.work.type));
    EXPECT_TRUE(each.large || bytes < (std::size_t{1} << 29)) << each.name;
  }
}

} // namespace
} // namespace engram::bench
