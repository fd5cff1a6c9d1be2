#include "engram/bench/gpu/neighbours.hpp"
#include "engram/bench/gpu/verdict.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "records.hpp"

namespace engram::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

verdict verdict_of(double before, double after, double scatter, std::size_t repeats = 200) {
  return judge(repeats_of(before, scatter, repeats, 7), repeats_of(after, scatter, repeats, 8))
      .what;
}

TEST(verdicts, a_quiet_series_that_moves_by_more_than_two_percent_changed) {
  EXPECT_EQ(verdict::regressed, verdict_of(1e-3, 1.03e-3, 0.001));
  EXPECT_EQ(verdict::improved, verdict_of(1e-3, 0.97e-3, 0.001));
}

TEST(verdicts, two_percent_is_always_noise) {
  const std::vector<double> before(50, 1e-3);
  EXPECT_EQ(verdict::unchanged, judge(before, std::vector<double>(50, 1.0199e-3)).what);
  EXPECT_EQ(verdict::regressed, judge(before, std::vector<double>(50, 1.0201e-3)).what);
  EXPECT_DOUBLE_EQ(0.02, judge(before, before).band);
}

TEST(verdicts, the_same_distribution_is_unchanged_however_wide) {
  for (const double scatter : {0.0, 0.01, 0.1, 0.5, 0.9})
    EXPECT_EQ(verdict::unchanged, verdict_of(1e-3, 1e-3, scatter)) << scatter;
}

TEST(verdicts, noise_widens_the_band) {
  const auto quiet = repeats_of(1e-3, 0.001, 200, 1), noisy = repeats_of(1e-3, 0.5, 200, 2);
  EXPECT_GT(judge(quiet, noisy).band, 0.05);
  EXPECT_GT(judge(noisy, quiet).band, 0.05);
  EXPECT_GT(judge(noisy, noisy).band, judge(quiet, noisy).band);
}

TEST(verdicts, a_drift_within_a_side_counts_as_noise_and_a_few_outliers_do_not) {
  std::vector<double> drifting, spiky(200, 1e-3);
  for (int i = 0; i < 200; ++i)
    drifting.push_back(1e-3 * (1 + 0.2 * i / 200));
  for (std::size_t i = 0; i < spiky.size(); i += 20)
    spiky[i] = 0.5;
  const std::vector<double> steady(200, 1e-3);
  EXPECT_GT(judge(steady, drifting).band, 0.15);
  EXPECT_DOUBLE_EQ(least_band, judge(steady, spiky).band);
}

TEST(verdicts, twice_as_fast_and_twice_as_slow_are_judged_alike) {
  EXPECT_EQ(verdict::improved, verdict_of(2e-3, 1e-3, 0.2));
  EXPECT_EQ(verdict::regressed, verdict_of(1e-3, 2e-3, 0.2));
}

TEST(verdicts, fewer_than_three_repeats_decide_nothing) {
  EXPECT_EQ(verdict::undecided, verdict_of(1e-3, 9e-3, 0, 2));
  EXPECT_EQ(verdict::regressed, verdict_of(1e-3, 9e-3, 0, 3));
  EXPECT_EQ(verdict::undecided, judge({}, {}).what);
}

TEST(comparisons, have_a_line_for_each_series_that_both_have) {
  auto before = run_of({record_of("search", 16, 1e-3, 2e-3)});
  auto after = run_of({record_of("search", 16, 1e-3, 1e-3)});
  after.cases[0].seconds["kernel"] = {1e-6};
  const auto all = compare(before, after);
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(2u, all->lines.size());
  EXPECT_EQ("cpu", all->lines[0].series);
  EXPECT_EQ(verdict::unchanged, all->lines[0].result.what);
  EXPECT_EQ("gpu", all->lines[1].series);
  EXPECT_EQ(verdict::improved, all->lines[1].result.what);
  EXPECT_NEAR(-0.5, all->lines[1].result.relative, 0.01);
}

TEST(comparisons, name_the_cases_that_one_side_lacks) {
  const auto all = compare(run_of({record_of("a", 1, 1, 1), record_of("b", 1, 1, 1)}),
                           run_of({record_of("b", 1, 1, 1), record_of("c", 1, 1, 1)}));
  ASSERT_TRUE(all);
  EXPECT_THAT(all->only_before, ElementsAre("a/1"));
  EXPECT_THAT(all->only_after, ElementsAre("c/1"));
}

TEST(comparisons, of_two_machines_carry_a_warning) {
  const auto before = run_of({record_of("a", 1, 1, 1)});
  auto after = before;
  EXPECT_TRUE(compare(before, after)->warnings.empty());
  after.gpu.model = "another GPU";
  after.cores = 8;
  EXPECT_THAT(compare(before, after)->warnings,
              ElementsAre(HasSubstr("16, then 8"), HasSubstr("a GPU, then another GPU")));
}

TEST(comparisons, of_a_run_with_busy_neighbours_carry_a_warning) {
  const auto quiet = run_of({record_of("a", 1, 1, 1)});
  auto disturbed = quiet;
  disturbed.cores_used_by_others = 4;
  EXPECT_THAT(compare(quiet, disturbed)->warnings,
              ElementsAre(HasSubstr("run after, other programs kept 4.0 of 16 cores")));
  EXPECT_THAT(compare(disturbed, quiet)->warnings, ElementsAre(HasSubstr("run before")));
}

TEST(neighbours, are_read_from_the_system_s_first_line) {
  // user, nice, system, idle, waiting, irq, softirq, steal, guest
  EXPECT_EQ(1 + 2 + 3 + 6 + 7 + 8, busy_ticks("cpu  1 2 3 40 50 6 7 8 9 0"));
  EXPECT_FALSE(busy_ticks("cpu0 1 2 3 4 5 6 7 8 9 0"));
  EXPECT_FALSE(busy_ticks("cpu 1 2"));
  EXPECT_FALSE(busy_ticks(""));
}

TEST(comparisons, of_a_simulated_and_a_real_gpu_are_refused) {
  const auto before = run_of({record_of("a", 1, 1, 1)});
  auto after = before;
  after.gpu.simulated = true;
  const auto all = compare(before, after);
  ASSERT_FALSE(all);
  EXPECT_THAT(all.error().message, HasSubstr("simulated"));
}

TEST(comparisons, without_a_common_case_are_refused) {
  EXPECT_FALSE(compare(run_of({record_of("a", 1, 1, 1)}), run_of({record_of("b", 1, 1, 1)})));
  EXPECT_FALSE(compare(run_of({}), run_of({})));
}

} // namespace
} // namespace engram::bench
