#include "engram/actors/policy/route_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace engram;

/// Everything that a decision goes by. As built, the one GPU (device 1) passes every rule.
struct situation {
  route_limits limits;
  batch_facts batch{.items = 64, .cpu_queue_seconds = 0.0, .cpu_seconds = 3.0};
  std::vector<gpu_facts> gpus{gpu(1)};

  static gpu_facts gpu(std::size_t device) {
    return {.device = device,
            .resident = true,
            .enabled = true,
            .fits_budget = true,
            .has_credit = true,
            .queue_seconds = 0.0,
            .gpu_seconds = 2.0};
  }
  route decide() const { return decide_route(limits, batch, gpus); }
};

struct rule {
  route_reason reason;
  std::function<void(situation&)> violate; ///< leaves the facts of the other rules alone
};

/// The rules in their documented order.
const std::vector<rule>& rules() {
  static const std::vector<rule> all{
      {route_reason::forced_cpu, [](situation& s) { s.limits.force_cpu = true; }},
      {route_reason::no_gpu, [](situation& s) { s.limits.gpu_enabled = false; }},
      {route_reason::not_resident, [](situation& s) { s.gpus[0].resident = false; }},
      {route_reason::gpu_disabled, [](situation& s) { s.gpus[0].enabled = false; }},
      {route_reason::below_min_batch, [](situation& s) { s.batch.items = 63; }},
      {route_reason::below_speedup, [](situation& s) { s.limits.speedup_threshold = 1.6; }},
      {route_reason::vram_budget, [](situation& s) { s.gpus[0].fits_budget = false; }},
      {route_reason::gpu_busy, [](situation& s) { s.gpus[0].queue_seconds = 1.1; }},
  };
  return all;
}

TEST(route_policy, takes_the_gpu_if_it_passes_every_rule) {
  const auto to = situation{}.decide();
  EXPECT_EQ(to.device, 1u);
  EXPECT_EQ(to.reason, route_reason::gpu);
}

TEST(route_policy, there_is_a_rule_for_every_reason_but_the_gpu_itself) {
  ASSERT_EQ(rules().size(), route_reason_count - 1);
  for (std::size_t i = 0; i < rules().size(); ++i)
    EXPECT_EQ(static_cast<std::size_t>(rules()[i].reason), i);
}

TEST(route_policy, each_rule_alone_sends_the_batch_to_the_cpu_and_gives_its_name) {
  for (const auto& rule : rules()) {
    situation s;
    rule.violate(s);
    EXPECT_EQ(s.decide().device, 0u) << to_string(rule.reason);
    EXPECT_EQ(s.decide().reason, rule.reason) << to_string(rule.reason);
  }
}

TEST(route_policy, of_any_set_of_violated_rules_the_first_one_decides) {
  for (unsigned set = 1; set < 1u << rules().size(); ++set) {
    situation s;
    std::optional<route_reason> first;
    std::string names;
    for (std::size_t i = 0; i < rules().size(); ++i) {
      if (!(set >> i & 1u)) continue;
      rules()[i].violate(s);
      if (!first) first = rules()[i].reason;
      names += std::string{to_string(rules()[i].reason)} + " ";
    }
    EXPECT_EQ(s.decide().device, 0u) << names;
    EXPECT_EQ(s.decide().reason, *first) << names;
  }
}

TEST(route_policy, a_machine_without_gpus_has_no_gpu) {
  situation s;
  s.gpus.clear();
  EXPECT_EQ(s.decide().reason, route_reason::no_gpu);
  s.limits.force_cpu = true;
  EXPECT_EQ(s.decide().reason, route_reason::forced_cpu);
}

TEST(route_policy, a_batch_of_exactly_the_least_size_may_use_the_gpu) {
  situation s;
  s.batch.items = s.limits.min_batch;
  EXPECT_EQ(s.decide().reason, route_reason::gpu);
}

TEST(route_policy, a_speedup_of_exactly_the_threshold_is_enough) {
  situation s;
  s.limits.speedup_threshold = 1.5; // 3 s against 2 s
  EXPECT_EQ(s.decide().reason, route_reason::gpu);
}

TEST(route_policy, the_speedup_is_judged_without_the_queues) {
  situation s;
  s.limits.speedup_threshold = 1.6;
  s.batch.cpu_queue_seconds = 100.0;
  EXPECT_EQ(s.decide().reason, route_reason::below_speedup);
}

TEST(route_policy, the_gpu_is_taken_if_both_are_predicted_to_finish_together) {
  situation s;
  s.gpus[0].queue_seconds = 1.0;
  EXPECT_EQ(s.decide().reason, route_reason::gpu);
}

TEST(route_policy, a_long_queue_on_the_cpu_makes_a_busy_gpu_worth_while) {
  situation s;
  s.gpus[0].queue_seconds = 10.0;
  EXPECT_EQ(s.decide().reason, route_reason::gpu_busy);
  s.batch.cpu_queue_seconds = 9.0;
  EXPECT_EQ(s.decide().reason, route_reason::gpu);
}

TEST(route_policy, a_gpu_without_credit_is_busy_however_short_its_queue) {
  situation s;
  s.gpus[0].has_credit = false;
  s.batch.cpu_queue_seconds = 1000.0;
  EXPECT_EQ(s.decide().reason, route_reason::gpu_busy);
}

TEST(route_policy, a_gpu_that_was_never_measured_gets_measured) {
  situation s;
  s.gpus[0].gpu_seconds.reset();
  s.limits.speedup_threshold = 100.0;
  EXPECT_EQ(s.decide().device, 1u);
}

TEST(route_policy, a_cpu_that_was_never_measured_keeps_no_batch_from_the_gpu) {
  situation s;
  s.batch.cpu_seconds.reset();
  s.limits.speedup_threshold = 100.0;
  EXPECT_EQ(s.decide().device, 1u);
}

TEST(route_policy, an_unknown_cost_excuses_from_no_other_rule) {
  for (const auto& rule : rules()) {
    if (rule.reason == route_reason::below_speedup || rule.reason == route_reason::gpu_busy)
      continue; // these two go by the costs
    situation s;
    s.gpus[0].gpu_seconds.reset();
    s.batch.cpu_seconds.reset();
    rule.violate(s);
    EXPECT_EQ(s.decide().reason, rule.reason) << to_string(rule.reason);
  }
  situation s;
  s.gpus[0].gpu_seconds.reset();
  s.gpus[0].has_credit = false;
  EXPECT_EQ(s.decide().reason, route_reason::gpu_busy);
}

/// Several GPUs: devices 1, 2, ...
situation with_gpus(std::size_t count) {
  situation s;
  s.gpus.clear();
  for (std::size_t device = 1; device <= count; ++device)
    s.gpus.push_back(situation::gpu(device));
  return s;
}

TEST(route_policy, of_several_gpus_the_one_that_finishes_first_is_taken) {
  auto s = with_gpus(3);
  s.gpus[0].queue_seconds = 0.9; // finishes at 2.9
  s.gpus[1].queue_seconds = 0.7;
  s.gpus[1].gpu_seconds = 1.0; // 1.7: neither the shortest queue nor the shortest run
  s.gpus[2].queue_seconds = 2.0;
  s.gpus[2].gpu_seconds = 0.5; // 2.5
  EXPECT_EQ(s.decide().device, 2u);
}

TEST(route_policy, names_the_device_and_not_its_place_among_the_gpus) {
  auto s = with_gpus(2);
  s.gpus[0].device = 7;
  s.gpus[0].enabled = false;
  s.gpus[1].device = 5;
  EXPECT_EQ(s.decide().device, 5u);
}

TEST(route_policy, of_two_gpus_the_one_whose_breaker_is_closed_is_taken_though_it_is_slower) {
  auto s = with_gpus(2);
  s.gpus[0].enabled = false;
  s.gpus[0].gpu_seconds = 0.1;
  EXPECT_EQ(s.decide().device, 2u);
  std::swap(s.gpus[0], s.gpus[1]);
  EXPECT_EQ(s.decide().device, 2u);
}

TEST(route_policy, of_two_gpus_the_one_that_holds_the_dataset_is_taken_though_it_is_slower) {
  auto s = with_gpus(2);
  s.gpus[0].resident = false;
  s.gpus[0].gpu_seconds = 0.1;
  EXPECT_EQ(s.decide().device, 2u);
}

TEST(route_policy, a_gpu_that_was_never_measured_goes_before_its_measured_neighbour) {
  auto s = with_gpus(2);
  s.gpus[1].gpu_seconds.reset();
  EXPECT_EQ(s.decide().device, 2u);
}

TEST(route_policy,
     no_gpu_is_taken_that_fails_a_rule_and_the_one_that_gets_furthest_names_the_reason) {
  // Two GPUs, each with any set of its own rules violated: 64 x 64 situations.
  const auto spoil = [](gpu_facts& gpu, unsigned set) {
    gpu.resident = !(set & 1u);
    gpu.enabled = !(set & 2u);
    if (set & 4u) gpu.gpu_seconds = 2.5; // speed-up 1.2
    gpu.fits_budget = !(set & 8u);
    gpu.has_credit = !(set & 16u);
    if (set & 32u) gpu.queue_seconds = 1.5;
  };
  for (const std::size_t items : {64u, 63u})
    for (unsigned one = 0; one < 64; ++one)
      for (unsigned two = 0; two < 64; ++two) {
        auto both = with_gpus(2);
        both.batch.items = items;
        spoil(both.gpus[0], one);
        spoil(both.gpus[1], two);
        const auto alone = [&](std::size_t i) {
          auto s = both;
          s.gpus = {both.gpus[i]};
          return s.decide();
        };
        const auto first = alone(0), second = alone(1);
        const auto to = both.decide();
        ASSERT_EQ(to.reason, std::max(first.reason, second.reason)) << one << ", " << two;
        ASSERT_TRUE(to.device == first.device || to.device == second.device) << one << ", " << two;
        ASSERT_EQ(to.device == 0, to.reason != route_reason::gpu) << one << ", " << two;
      }
}

TEST(route_policy, every_reason_has_a_name_of_its_own) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < route_reason_count; ++i)
    names.push_back(to_string(static_cast<route_reason>(i)));
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

} // namespace
