#include "engram/bench/gpu/derived.hpp"
#include "engram/bench/gpu/report.hpp"
#include "engram/bench/gpu/statistics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "records.hpp"

namespace engram::bench {
namespace {

using kind = break_even::kind;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(quantiles, are_taken_between_neighbours) {
  const std::vector<double> values{4, 1, 3, 2};
  EXPECT_DOUBLE_EQ(1, quantile(values, 0));
  EXPECT_DOUBLE_EQ(2.5, quantile(values, 0.5));
  EXPECT_DOUBLE_EQ(4, quantile(values, 1));
  EXPECT_DOUBLE_EQ(0, quantile({}, 0.5));
}

TEST(quantiles, of_consecutive_parts) {
  const std::vector<double> values{1, 2, 3, 10, 20, 30, 5};
  EXPECT_THAT(block_medians(values, 2), ElementsAre(2, 15));
  EXPECT_THAT(block_medians(values, 100), testing::ElementsAreArray(values));
  EXPECT_TRUE(block_medians({}, 10).empty());
}

TEST(break_evens, lie_between_the_sizes_where_the_winner_changes) {
  // cpu / gpu is size / 48: the line through the logarithms is exact.
  const std::vector<sweep_point> sweep{{16, 16, 48}, {32, 32, 48}, {64, 64, 48}, {128, 128, 48}};
  EXPECT_EQ((break_even{kind::at, 48}), find_break_even(sweep));
}

TEST(break_evens, count_from_where_the_gpu_keeps_winning) {
  const std::vector<sweep_point> sweep{{1, 3, 2}, {10, 1, 2}, {100, 1, 1}, {1000, 4, 1}};
  const auto found = find_break_even(sweep);
  EXPECT_EQ(kind::at, found.what);
  EXPECT_EQ(100u, found.size);
}

TEST(break_evens, may_lie_outside_the_sweep) {
  const std::vector<sweep_point> wins{{1, 3, 2}, {10, 3, 2}}, loses{{1, 2, 3}, {10, 2, 3}};
  EXPECT_EQ((break_even{kind::always, 1}), find_break_even(wins));
  EXPECT_EQ((break_even{kind::never, 10}), find_break_even(loses));
  EXPECT_EQ(kind::unknown, find_break_even(std::span{wins}.first(1)).what);
  EXPECT_EQ(kind::unknown, find_break_even({}).what);
}

run_record profiled() {
  auto run = run_of({record_of("search", 16, 9e-3, 1e-3), record_of("search", 64, 9e-3, 1e-3)});
  for (auto& record : run.cases) {
    record.seconds["gpu"] = {10e-3, 10e-3};
    record.seconds["transfer"] = {1e-3, 1e-3};
    record.seconds["kernel"] = {4e-3, 4e-3};
    record.seconds["device"] = {5.5e-3, 5.5e-3};
  }
  return run;
}

TEST(shares, add_up_to_the_whole) {
  const auto shares = shares_of_family(profiled(), "search");
  ASSERT_TRUE(shares);
  EXPECT_NEAR(16e-3, shares->kernel, 1e-12);
  EXPECT_NEAR(4e-3, shares->transfer, 1e-12);
  EXPECT_NEAR(2e-3, shares->launch, 1e-12);
  EXPECT_NEAR(18e-3, shares->idle, 1e-12);
  EXPECT_NEAR(40e-3, shares->total, 1e-12);
}

TEST(shares, are_never_negative_where_copies_overlap_kernels) {
  auto run = profiled();
  run.cases[0].seconds["device"] = {3e-3, 11e-3};
  const auto shares = shares_of(run.cases[0]);
  EXPECT_NEAR(6e-3, shares->launch, 1e-12);
  EXPECT_NEAR(7e-3, shares->idle, 1e-12);
}

TEST(shares, are_unknown_without_the_gpu_s_parts) {
  EXPECT_FALSE(shares_of(record_of("search", 16, 1, 1)));
  EXPECT_FALSE(shares_of_family(run_of({record_of("search", 16, 1, 1)}), "search"));
}

TEST(reports, have_the_guide_s_lines) {
  auto run =
      run_of({record_of("search", 512, 1e-3, 2e-3), record_of("search", 1024, 2.1e-3, 295e-6)});
  const auto text = family_text(run, "search");
  EXPECT_THAT(text, HasSubstr("Case (1024 vectors):"));
  EXPECT_THAT(text, HasSubstr("\n  CPU: 2.1"));
  EXPECT_THAT(text, HasSubstr("ms (P50), 2.1"));
  EXPECT_THAT(text, HasSubstr("\n  Speedup: 7."));
  EXPECT_THAT(text, HasSubstr("\n  Break-even: 614 vectors\n"));
  EXPECT_THAT(text, Not(HasSubstr("simulated")));
}

TEST(reports, read_the_profile) {
  const auto text = family_text(profiled(), "search");
  EXPECT_THAT(text, HasSubstr("Total Time: 40.0 ms\n"
                              "├─ Kernel Execution: 16.0 ms (40%)\n"
                              "├─ Memory Transfer: 4.00 ms (10%)\n"
                              "├─ Launch Overhead: 2.00 ms (5%)\n"
                              "└─ Idle: 18.0 ms (45%)\n"
                              "Bottleneck: GPU is idle 45% of the time\n"
                              "→ larger batches"));
}

TEST(reports, say_simulated_on_every_line_with_a_figure_of_a_simulated_gpu) {
  auto run = profiled();
  run.gpu.simulated = true;
  run.cases[0].figures = {
      {"vectors_per_second", 1e6}, {"requests_per_second", 1e3}, {"gpu_share", 1}};
  run.cases[1].name = "pipeline/throughput/102400x768/bf16";
  run.cases[1].figures = run.cases[0].figures;
  std::istringstream lines{family_text(run, "search") + guide_text(run)};
  int marked = 0;
  for (std::string line; std::getline(lines, line);)
    for (const auto* begin :
         {"  GPU:", "  Speedup", "  Break-even", "  On the", "  Rate", "Where", "  pipeline/"})
      if (line.starts_with(begin)) {
        EXPECT_THAT(line, HasSubstr("simulated"));
        ++marked;
      }
  EXPECT_EQ(2 * 5 + 1 + 1, marked);
}

TEST(reports, tell_how_far_the_guide_s_figures_are_exceeded) {
  auto run = run_of({record_of("cosine_search_resident", 10'240, 1.4e-3, 14e-6)});
  run.cases[0].seconds["cpu"] = {1.4e-3};
  run.cases[0].seconds["gpu"] = {14e-6};
  EXPECT_THAT(guide_text(run),
              HasSubstr("1536x its CPU baseline, wanted 26x: exceeded 59.1 times over; "
                        "100.0x our own CPU"));
  EXPECT_THAT(guide_text(run), HasSubstr("731.4M vectors/s, wanted 10M: exceeded 73.1 times over"));
  run.cases[0].seconds["gpu"] = {2.1e-3};
  EXPECT_THAT(guide_text(run), HasSubstr("NOT exceeded: 0.39 of it"));
}

TEST(reports, give_times_in_three_digits) {
  EXPECT_EQ("2.10 us", time_text(2.1e-6));
  EXPECT_EQ("295 us", time_text(295e-6));
  EXPECT_EQ("1.00 ms", time_text(0.9999e-3));
  EXPECT_EQ("12.3 ms", time_text(12.34e-3));
  EXPECT_EQ("1.50 s", time_text(1.5));
}

} // namespace
} // namespace engram::bench
