#include "engram/actors/policy/verification_policy.hpp"

#include <gtest/gtest.h>

namespace {

using namespace engram;
using namespace std::chrono_literals;

const time_point first_hour{std::chrono::hours{1}};

verification_policy policy_of(double share, duration interval = {}, std::size_t devices = 2) {
  verification_policy policy{devices, first_hour};
  policy.set_limits({.check_share = share, .canary_interval = interval});
  return policy;
}

int checked(verification_policy& policy, int answers, bool room = true, std::size_t device = 1) {
  int count = 0;
  for (int i = 0; i < answers; ++i)
    count += policy.on_answer(device, room) ? 1 : 0;
  return count;
}

class check_share : public ::testing::TestWithParam<double> {};

TEST_P(check_share, is_kept_to_the_batch) {
  auto policy = policy_of(GetParam());
  EXPECT_EQ(checked(policy, 10'000), static_cast<int>(GetParam() * 10'000));
}

INSTANTIATE_TEST_SUITE_P(of, check_share, ::testing::Values(0.0, 0.001, 0.1, 0.25, 1.0),
                         [](const auto& each) {
                           return "a_share_of_" + std::to_string(int(each.param * 1000)) +
                                  "_in_1000";
                         });

TEST(check_share, is_that_of_each_device) {
  auto policy = policy_of(0.5, {}, 3);
  // Taking turns: with one debt for both, the second device would be checked alone.
  int first = 0, second = 0;
  for (int i = 0; i < 100; ++i) {
    first += policy.on_answer(1, true) ? 1 : 0;
    second += policy.on_answer(2, true) ? 1 : 0;
  }
  EXPECT_EQ(first, 50);
  EXPECT_EQ(second, 50);
}

TEST(check_share, what_had_no_room_is_made_up_for) {
  auto policy = policy_of(0.1);
  EXPECT_EQ(checked(policy, 200, false), 0);
  EXPECT_EQ(checked(policy, 200), 40);
}

TEST(check_share, what_is_owed_has_an_end) {
  auto policy = policy_of(0.1);
  checked(policy, 1'000'000, false);
  EXPECT_LE(checked(policy, 1'000), 200);
}

TEST(check_share, a_check_that_came_to_nothing_is_repeated_on_the_next_answer) {
  auto policy = policy_of(0.1);
  ASSERT_EQ(checked(policy, 10), 1);
  policy.on_unfinished_check(1);
  EXPECT_EQ(checked(policy, 1), 1);
}

TEST(canary, is_due_after_the_interval_without_a_run) {
  auto policy = policy_of(0, 100ms);
  EXPECT_FALSE(policy.is_canary_due(1, first_hour + 99ms));
  EXPECT_TRUE(policy.is_canary_due(1, first_hour + 100ms));
  EXPECT_EQ(policy.next_canary(), first_hour + 100ms);
  policy.on_run(1, first_hour + 60ms);
  EXPECT_FALSE(policy.is_canary_due(1, first_hour + 159ms));
  EXPECT_TRUE(policy.is_canary_due(1, first_hour + 160ms));
}

TEST(canary, that_is_not_possible_is_tried_again_within_the_interval) {
  auto policy = policy_of(0, 100ms);
  policy.postpone_canary(1, first_hour + 100ms);
  EXPECT_FALSE(policy.is_canary_due(1, first_hour + 100ms));
  EXPECT_TRUE(policy.is_canary_due(1, first_hour + 110ms));
}

TEST(canary, is_never_due_with_an_interval_of_0) {
  auto policy = policy_of(0, 0ms);
  EXPECT_FALSE(policy.is_canary_due(1, first_hour + 24h));
  EXPECT_FALSE(policy.next_canary());
}

TEST(canary, is_never_asked_of_the_cpu) {
  auto alone = policy_of(0, 100ms, 1);
  EXPECT_FALSE(alone.next_canary());
  EXPECT_FALSE(alone.is_canary_due(0, first_hour + 1h));
}

TEST(canary, of_several_gpus_each_has_its_own_time) {
  auto policy = policy_of(0, 100ms, 3);
  policy.on_run(1, first_hour + 50ms);
  EXPECT_EQ(policy.next_canary(), first_hour + 100ms);
  EXPECT_FALSE(policy.is_canary_due(1, first_hour + 100ms));
  EXPECT_TRUE(policy.is_canary_due(2, first_hour + 100ms));
}

TEST(canary, an_interval_near_0_does_not_keep_the_cpu_busy) {
  auto policy = policy_of(0, 1ns);
  EXPECT_EQ(policy.next_canary(), first_hour + 1ms);
  policy.postpone_canary(1, first_hour + 1ms);
  EXPECT_EQ(policy.next_canary(), first_hour + 2ms);
}

} // namespace
