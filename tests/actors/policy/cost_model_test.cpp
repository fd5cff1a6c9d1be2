#include "engram/actors/policy/cost_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <vector>

namespace {

using namespace engram;

/// A device that takes a + b * work, give or take.
struct machine {
  double a;
  double b;
  double noise = 0.0; ///< relative standard deviation
  std::mt19937_64 random{17};

  double exact(double work) const { return a + b * work; }
  double run(double work) {
    std::normal_distribution<double> factor{1.0, noise > 0 ? noise : 1e-12};
    return exact(work) * std::max(factor(random), 0.1);
  }
  /// Returns an amount of work between `least` and `most`, each order of magnitude as likely as the
  /// next.
  double draw(double least, double most) {
    std::uniform_real_distribution<double> exponent{std::log(least), std::log(most)};
    return std::exp(exponent(random));
  }
};

void learn(cost_line& line, machine& device, int samples, double least, double most) {
  for (int i = 0; i < samples; ++i) {
    const auto work = device.draw(least, most);
    line.add(work, device.run(work));
  }
}

/// Returns the largest relative error of the line between `least` and `most`.
double worst_error(const cost_line& line, const machine& device, double least, double most) {
  double worst = 0;
  for (double work = least; work <= most * 1.001; work *= std::pow(most / least, 1.0 / 64)) {
    const auto truth = device.exact(work);
    worst = std::max(worst, std::abs(line.predict(work).value() - truth) / truth);
  }
  return worst;
}

// A GPU as measured: 20 us to launch, 1e13 multiply-adds a second. And a CPU: 5 us, 2e10.
machine gpu(double noise) {
  return {.a = 20e-6, .b = 1e-13, .noise = noise};
}
machine cpu(double noise) {
  return {.a = 5e-6, .b = 5e-11, .noise = noise};
}

TEST(cost_line, knows_nothing_before_its_first_sample) {
  const cost_line line;
  EXPECT_EQ(line.predict(1e6), std::nullopt);
  EXPECT_EQ(line.samples(), 0.0);
}

TEST(cost_line, one_sample_is_taken_to_be_proportional_to_its_work) {
  cost_line line;
  line.add(1000, 0.002);
  EXPECT_DOUBLE_EQ(line.predict(1000).value(), 0.002);
  EXPECT_DOUBLE_EQ(line.predict(500).value(), 0.001);
  EXPECT_DOUBLE_EQ(line.predict(0).value(), 0.0);
}

TEST(cost_line, two_exact_samples_fix_the_line) {
  cost_line line;
  line.add(100, 1.0 + 100 * 0.01);
  line.add(300, 1.0 + 300 * 0.01);
  EXPECT_NEAR(line.predict(0).value(), 1.0, 1e-9);
  EXPECT_NEAR(line.predict(1000).value(), 11.0, 1e-8);
}

TEST(cost_line, recovers_a_and_b_exactly_without_noise) {
  for (auto device : {gpu(0), cpu(0)}) {
    cost_line line;
    learn(line, device, 100, 1e5, 1e11);
    EXPECT_LT(worst_error(line, device, 1e5, 1e11), 1e-6);
  }
}

TEST(cost_line, recovers_the_line_within_a_few_percent_from_noisy_samples) {
  for (auto device : {gpu(0.1), cpu(0.1)}) {
    double sum = 0, worst = 0;
    const int runs = 50;
    for (int run = 0; run < runs; ++run) {
      cost_line line;
      learn(line, device, 200, 1e5, 1e11);
      const auto error = worst_error(line, device, 1e5, 1e11);
      sum += error;
      worst = std::max(worst, error);
    }
    EXPECT_LT(sum / runs, 0.06) << "a = " << device.a;
    EXPECT_LT(worst, 0.15) << "a = " << device.a;
  }
}

TEST(cost_line, is_not_drawn_to_the_fast_samples) {
  // A fit that weighs by the time it saw would be about 15 % low here.
  auto device = cpu(0.3);
  double bias = 0;
  const int runs = 100;
  for (int run = 0; run < runs; ++run) {
    cost_line line;
    learn(line, device, 200, 1e8, 1e10);
    bias += line.predict(1e9).value() / device.exact(1e9) - 1;
  }
  EXPECT_LT(std::abs(bias / runs), 0.05);
}

TEST(cost_line, one_sample_far_too_slow_or_too_fast_moves_it_little) {
  for (const double factor : {10.0, 1000.0, 0.1, 0.001}) // preempted; cut short
    for (const double work : {1e6, 1e8, 1e10}) {
      double worst = 0, middle = 0;
      const unsigned runs = 50;
      for (unsigned seed = 0; seed < runs; ++seed) {
        auto device = cpu(0.05);
        device.random.seed(seed);
        cost_line line;
        learn(line, device, 100, 1e6, 1e10);
        line.add(work, device.exact(work) * factor);
        worst += worst_error(line, device, 1e6, 1e10) / runs;
        middle += worst_error(line, device, 1e8, 1e9) / runs;
      }
      EXPECT_LT(middle, 0.08) << factor << " x at work " << work;
      EXPECT_LT(worst, 0.3) << factor << " x at work " << work; // at the ends, which few pairs hold
    }
}

TEST(cost_line, is_fit_to_use_while_every_tenth_sample_is_ten_times_too_slow) {
  auto device = cpu(0.1);
  std::bernoulli_distribution preempted{0.1};
  double sum = 0;
  const int runs = 50;
  for (int run = 0; run < runs; ++run) {
    cost_line line;
    for (int i = 0; i < 200; ++i) {
      const auto work = device.draw(1e6, 1e10);
      line.add(work, device.run(work) * (preempted(device.random) ? 10 : 1));
    }
    sum += worst_error(line, device, 1e6, 1e10);
  }
  EXPECT_LT(sum / runs, 0.25); // a plain average would be 90 % too slow
}

TEST(cost_line, a_first_sample_that_is_an_outlier_is_overruled_by_the_next_fifteen) {
  for (const double factor : {100.0, 0.01}) { // a cold start; a run that was cut short
    auto device = cpu(0.05);
    cost_line line;
    line.add(1e9, device.exact(1e9) * factor);
    learn(line, device, 15, 1e8, 1e10);
    EXPECT_LT(worst_error(line, device, 1e8, 1e10), 0.2) << "factor " << factor;
  }
}

TEST(cost_line, follows_a_device_that_changes_its_speed_within_fifty_samples) {
  for (const double factor : {1.5, 1.9, 2.5, 4.0, 10.0, 100.0})
    for (const bool slower : {true, false}) {
      auto device = gpu(0.1);
      cost_line line;
      learn(line, device, 300, 1e6, 1e11);
      const auto change = slower ? factor : 1 / factor;
      device.a *= change;
      device.b *= change;
      learn(line, device, 50, 1e6, 1e11);
      EXPECT_LT(worst_error(line, device, 1e6, 1e11), 0.2)
          << factor << (slower ? " x slower" : " x faster");
    }
}

TEST(cost_line, follows_a_change_of_speed_when_all_batches_are_alike) {
  for (const double factor : {3.0, 1.0 / 3.0}) {
    auto device = gpu(0.1);
    cost_line line;
    learn(line, device, 300, 1e9, 1.01e9);
    device.a *= factor;
    device.b *= factor;
    learn(line, device, 20, 1e9, 1.01e9);
    EXPECT_LT(worst_error(line, device, 1e9, 1.01e9), 0.15) << factor;
  }
}

TEST(cost_line, slow_runs_that_others_interrupt_are_no_change_of_speed) {
  for (const double interruption : {1.0, 0.1}) {
    auto device = cpu(0.05);
    cost_line line;
    learn(line, device, 100, 1e8, 1e10);
    for (const double factor : {10.0, 10.0, 10.0, 10.0, interruption, 10.0, 10.0, 10.0, 10.0})
      line.add(1e9, device.exact(1e9) * factor);
    EXPECT_LT(worst_error(line, device, 1e8, 1e10), 0.6) << interruption;
  }
}

TEST(cost_line, follows_a_change_of_the_overhead_alone) {
  auto device = gpu(0.05);
  cost_line line;
  learn(line, device, 300, 1e5, 1e11);
  device.a *= 5;
  learn(line, device, 150, 1e5, 1e11);
  EXPECT_LT(worst_error(line, device, 1e5, 1e11), 0.2);
}

TEST(cost_line, equal_work_gives_the_mean_time_and_never_a_wild_slope) {
  auto device = gpu(0.1);
  cost_line line;
  for (int i = 0; i < 200; ++i)
    line.add(1e9, device.run(1e9));
  const auto truth = device.exact(1e9);
  EXPECT_NEAR(line.predict(1e9).value(), truth, 0.05 * truth);
  EXPECT_LE(line.predict(2e9).value(), 2.2 * truth);
  EXPECT_GE(line.predict(2e9).value(), 0.9 * truth);
  EXPECT_LE(line.predict(5e8).value(), 1.1 * truth);
}

TEST(cost_line, keeps_a_slope_it_has_learnt_while_all_batches_are_alike) {
  for (unsigned seed = 0; seed < 10; ++seed) {
    auto device = gpu(0.05);
    device.random.seed(seed);
    cost_line line;
    learn(line, device, 200, 1e6, 1e11);
    learn(line, device, 1000, 0.99e9, 1.01e9); // their noise alone would turn the slope anywhere
    EXPECT_LT(worst_error(line, device, 1e6, 1e11), 0.2) << "seed " << seed;
  }
}

TEST(cost_line, zero_work_teaches_the_overhead) {
  cost_line line;
  for (int i = 0; i < 10; ++i)
    line.add(0, 30e-6);
  EXPECT_NEAR(line.predict(0).value(), 30e-6, 1e-9);
  for (int i = 0; i < 10; ++i)
    line.add(1e9, 30e-6 + 1e-3);
  EXPECT_NEAR(line.predict(0).value(), 30e-6, 1e-7);
  EXPECT_NEAR(line.predict(1e9).value(), 1.03e-3, 1e-6);
}

TEST(cost_line, time_that_does_not_depend_on_work_gives_a_flat_line) {
  auto device = machine{.a = 1e-3, .b = 0.0, .noise = 0.05};
  cost_line line;
  learn(line, device, 300, 1e3, 1e9);
  EXPECT_LT(worst_error(line, device, 1e3, 1e9), 0.15);
}

TEST(cost_line, never_falls_with_more_work_even_if_the_samples_do) {
  cost_line line;
  for (int i = 0; i < 100; ++i) {
    line.add(1e3, 2e-3);
    line.add(1e6, 1e-3);
  }
  EXPECT_GE(line.predict(1e6).value(), line.predict(1e3).value());
  EXPECT_GE(line.predict(1e3).value(), 1e-3 * 0.9);
  EXPECT_LE(line.predict(1e6).value(), 2e-3 * 1.1);
}

TEST(cost_line, is_accurate_over_twelve_orders_of_magnitude_of_work) {
  for (const double overhead : {1e-6, 1e-4, 1e-2}) {
    auto device = machine{.a = overhead, .b = 1e-11, .noise = 0.05};
    cost_line line;
    learn(line, device, 400, 1e0, 1e12);
    EXPECT_LT(worst_error(line, device, 1e0, 1e12), 0.15) << "overhead " << overhead;
  }
}

TEST(cost_line, stays_accurate_through_a_million_samples) {
  auto device = machine{.a = 1e-6, .b = 1e-11, .noise = 0.05};
  cost_line line;
  learn(line, device, 1'000'000, 1e0, 1e12);
  EXPECT_LT(worst_error(line, device, 1e0, 1e12), 0.15);
}

TEST(cost_line, is_right_about_large_work_though_it_saw_small_work_for_long) {
  auto device = gpu(0.05);
  cost_line line;
  for (int i = 0; i < 1000; ++i)
    line.add(1, device.run(1));
  for (int i = 0; i < 10; ++i)
    line.add(1e12, device.run(1e12));
  EXPECT_LT(worst_error(line, device, 1e0, 1e12), 0.2);
}

TEST(cost_line, is_right_about_small_work_though_it_saw_large_work_for_long) {
  auto device = gpu(0.05);
  cost_line line;
  for (int i = 0; i < 1000; ++i)
    line.add(1e12, device.run(1e12));
  for (int i = 0; i < 10; ++i)
    line.add(1, device.run(1));
  EXPECT_LT(worst_error(line, device, 1e0, 1e12), 0.2);
}

TEST(cost_line, ignores_what_cannot_be_a_measurement) {
  const auto nan = std::numeric_limits<double>::quiet_NaN();
  const auto infinity = std::numeric_limits<double>::infinity();
  cost_line line;
  line.add(nan, 1.0);
  line.add(1.0, nan);
  line.add(infinity, 1.0);
  line.add(1.0, infinity);
  line.add(-1.0, 1.0);
  line.add(1.0, -1.0);
  EXPECT_EQ(line.predict(1.0), std::nullopt);
  line.add(1000, 0.002);
  line.add(nan, nan);
  EXPECT_DOUBLE_EQ(line.predict(1000).value(), 0.002);
}

TEST(cost_line, a_time_too_short_for_the_clock_counts_as_one_nanosecond) {
  cost_line line;
  for (int i = 0; i < 10; ++i)
    line.add(1000, 0.0);
  EXPECT_NEAR(line.predict(1000).value(), 1e-9, 1e-12);
}

TEST(cost_line, whatever_it_is_told_its_predictions_are_finite_and_not_negative) {
  std::mt19937_64 random{23};
  std::uniform_real_distribution<double> unit{0.0, 1.0};
  for (int run = 0; run < 2'000; ++run) {
    cost_line line;
    for (int i = 0; i < 60; ++i) {
      const auto work = unit(random) < 0.1 ? 0.0 : std::pow(10.0, 12 * unit(random));
      const auto seconds = unit(random) < 0.05 ? 0.0 : std::pow(10.0, -9 + 12 * unit(random));
      line.add(work, seconds);
      for (const double asked : {0.0, 1.0, 1e6, 1e12}) {
        const auto predicted = line.predict(asked).value();
        ASSERT_TRUE(std::isfinite(predicted) && predicted >= 0.0)
            << "run " << run << ", sample " << i << ", work " << asked << ": " << predicted;
      }
      ASSERT_LE(line.predict(1.0).value(), line.predict(1e12).value());
    }
  }
}

constexpr cost_model::key on_gpu{operation::search, 1, 100};

TEST(cost_model, knows_nothing_of_an_operation_that_a_device_never_ran) {
  cost_model model;
  EXPECT_EQ(model.predict(on_gpu, 1e6), std::nullopt);
  model.add(on_gpu, 1e6, 0.5);
  EXPECT_EQ(model.predict({operation::spread, 1, 100}, 1e6), std::nullopt);
  EXPECT_EQ(model.predict({operation::search, 0, 100}, 1e6), std::nullopt);
}

TEST(cost_model, a_new_dataset_costs_what_the_operation_costs_on_the_device_in_general) {
  cost_model model;
  auto device = gpu(0);
  for (const std::uint64_t dataset : {1u, 2u})
    for (const double work : {1e6, 1e8, 1e10})
      model.add({operation::search, 1, dataset}, work, device.exact(work));
  EXPECT_NEAR(model.predict({operation::search, 1, 3}, 1e9).value(), device.exact(1e9),
              0.01 * device.exact(1e9));
}

TEST(cost_model, a_dataset_with_history_is_predicted_from_its_own) {
  cost_model model;
  for (int i = 0; i < 30; ++i) {
    model.add({operation::search, 1, 1}, 1e6, 1e-3);
    model.add({operation::search, 1, 2}, 1e6, 5e-3);
  }
  EXPECT_NEAR(model.predict({operation::search, 1, 1}, 1e6).value(), 1e-3, 1e-4);
  EXPECT_NEAR(model.predict({operation::search, 1, 2}, 1e6).value(), 5e-3, 5e-4);
}

TEST(cost_model, the_first_small_batch_on_a_new_dataset_does_not_make_large_ones_look_dear) {
  // Taken as proportional, 20 us for 1e4 multiply-adds would be 20 s for 1e10.
  cost_model model;
  auto device = gpu(0.05);
  for (int i = 0; i < 100; ++i) {
    const auto work = device.draw(1e4, 1e11);
    model.add({operation::search, 1, 1}, work, device.run(work));
  }
  const cost_model::key fresh{operation::search, 1, 2};
  model.add(fresh, 1e4, device.run(1e4));
  EXPECT_NEAR(model.predict(fresh, 1e10).value(), device.exact(1e10), 0.3 * device.exact(1e10));
}

TEST(cost_model, a_few_batches_on_a_new_dataset_outweigh_what_is_known_in_general) {
  cost_model model;
  for (int i = 0; i < 100; ++i)
    model.add({operation::spread, 0, 1}, 1e6 + i * 1e4, 1e-3);
  const cost_model::key fresh{operation::spread, 0, 2};
  for (int i = 0; i < 10; ++i)
    model.add(fresh, 1e6 + i * 1e5, 4e-3);
  EXPECT_NEAR(model.predict(fresh, 1.4e6).value(), 4e-3, 1e-3);
}

TEST(cost_model, forgetting_a_dataset_leaves_the_others_and_the_general_line) {
  cost_model model;
  for (int i = 0; i < 30; ++i) {
    model.add({operation::search, 1, 1}, 1e6, 1e-3);
    model.add({operation::search, 0, 1}, 1e6, 1e-3);
    model.add({operation::search, 1, 2}, 1e6, 9e-3);
    model.add({operation::search, 0, 2}, 1e6, 9e-3);
  }
  const auto other = model.predict({operation::search, 1, 2}, 1e6);
  model.forget_dataset(1);
  EXPECT_EQ(model.predict({operation::search, 1, 2}, 1e6), other);
  for (const std::size_t device : {0u, 1u}) {
    const auto general = model.predict({operation::search, device, 77}, 1e6); // never seen
    ASSERT_TRUE(general.has_value());
    EXPECT_EQ(model.predict({operation::search, device, 1}, 1e6), general);
  }
}

} // namespace
