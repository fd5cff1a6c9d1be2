#include "engram/replay/breaker_history.hpp"

#include <gtest/gtest.h>

namespace {

using namespace engram;
using namespace engram::replay;
using namespace std::chrono_literals;

TEST(breaker_history, reads_both_states_the_reason_and_the_time) {
  const time_point zero{10s};
  const pipeline_event event{1, zero + 1500ms, "breaker", "gpu0",
                             "half_open -> closed: 5 good probes"};
  const auto change = breaker_change_of(event, zero);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->device, "gpu0");
  EXPECT_DOUBLE_EQ(change->at_seconds, 1.5);
  EXPECT_EQ(change->from, breaker_state::half_open);
  EXPECT_EQ(change->to, breaker_state::closed);
  EXPECT_EQ(change->why, "5 good probes");
}

TEST(breaker_history, does_without_a_reason) {
  const auto change = breaker_change_of({1, time_point{}, "breaker", "gpu0", "closed -> open"}, {});
  ASSERT_TRUE(change);
  EXPECT_EQ(change->to, breaker_state::open);
  EXPECT_EQ(change->why, "");
}

TEST(breaker_history, leaves_alone_what_names_no_two_states) {
  for (const auto* detail : {"", "open", "closed to open", "closed -> ajar: x", "shut -> open: x"})
    EXPECT_FALSE(breaker_change_of({1, time_point{}, "breaker", "gpu0", detail}, {})) << detail;
}

} // namespace
