#include "engram/devices/host_policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace engram {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

host_limits quick_limits() {
  return {.standby = true,
          .hang_timeout = 1s,
          .settling = 0s,
          .start_timeout = 5s,
          .crashes = {.intensity = 3, .period = 10s, .backoff = 10ms, .max_backoff = 2s}};
}

/// A policy and what it said, one word an action: "start owner 1", "kill runner 2: hung", "serve
/// 2", "lost 2: exit", "restored".
class host_policy_test : public ::testing::Test {
protected:
  explicit host_policy_test(host_limits limits = quick_limits()) : policy(limits) {}

  std::vector<std::string> told() {
    std::vector<std::string> words;
    for (const auto& each : policy.take_actions()) {
      const auto id = std::to_string(each.id);
      const auto who = std::string{to_string(each.role)} + " " + id;
      const auto why = ": " + std::string{each.cause};
      using kind = host_policy::action::kind;
      switch (each.what) {
      case kind::start:
        words.push_back("start " + who);
        break;
      case kind::kill:
        words.push_back("kill " + who + why);
        break;
      case kind::serve:
        words.push_back("serve " + id);
        break;
      case kind::lost:
        words.push_back("lost " + id + why);
        break;
      case kind::restored:
        words.push_back("restored");
        break;
      }
    }
    return words;
  }

  /// Owner 1 and runners 2, which serves, and 3.
  void begin_all() {
    policy.begin(now);
    for (host_id id = 1; id <= 3; ++id)
      policy.on_ready(id, now);
    told();
  }

  /// Lets the time come that the policy waits for.
  void wait_for_timer() {
    ASSERT_TRUE(policy.timer());
    now = std::max(now, *policy.timer());
    policy.on_timer(now);
  }

  host_policy policy;
  time_point now{1000s};
};

class host_policy_without_standby : public host_policy_test {
protected:
  static host_limits alone() {
    auto limits = quick_limits();
    limits.standby = false;
    return limits;
  }
  host_policy_without_standby() : host_policy_test(alone()) {}
};

// -- starting --

TEST_F(host_policy_test, starts_an_owner_and_two_runners) {
  policy.begin(now);
  EXPECT_THAT(told(), ElementsAre("start owner 1", "start runner 2", "start runner 3"));
  EXPECT_FALSE(policy.serving());
  EXPECT_FALSE(policy.owner());
}

TEST_F(host_policy_without_standby, starts_an_owner_and_one_runner) {
  policy.begin(now);
  EXPECT_THAT(told(), ElementsAre("start owner 1", "start runner 2"));
  policy.on_ready(2, now);
  EXPECT_FALSE(policy.has_standby());
}

TEST_F(host_policy_test, lets_the_first_ready_runner_serve_and_the_other_stand_by) {
  policy.begin(now);
  told();
  policy.on_ready(3, now);
  EXPECT_THAT(told(), ElementsAre("serve 3")); // nothing was lost, so nothing is restored
  policy.on_ready(1, now);
  policy.on_ready(2, now);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(policy.serving(), 3u);
  EXPECT_EQ(policy.owner(), 1u);
  EXPECT_TRUE(policy.has_standby());
}

TEST_F(host_policy_test, waits_for_nothing_when_all_are_ready_and_idle) {
  begin_all();
  EXPECT_FALSE(policy.timer());
}

TEST_F(host_policy_test, kills_who_is_not_ready_in_time_and_starts_another_after_its_death) {
  policy.begin(now);
  policy.on_ready(1, now);
  policy.on_ready(2, now);
  told();
  EXPECT_EQ(policy.timer(), now + 5s);
  policy.on_timer(now + 5s - 1ns);
  EXPECT_THAT(told(), IsEmpty());
  wait_for_timer();
  EXPECT_THAT(told(), ElementsAre("kill runner 3: start_timeout"));
  EXPECT_FALSE(policy.timer()) << "its death comes by itself";
  policy.on_ready(3, now); // too late
  EXPECT_FALSE(policy.has_standby());
  policy.on_death(3, "killed", now);
  EXPECT_THAT(told(), ElementsAre("start runner 4"));
}

// -- deaths --

TEST_F(host_policy_test, gives_the_batches_to_the_standby_when_the_serving_runner_dies) {
  begin_all();
  policy.on_death(2, "sticky", now);
  EXPECT_THAT(told(), ElementsAre("lost 2: sticky", "serve 3", "restored", "start runner 4"));
  EXPECT_EQ(policy.serving(), 3u);
  EXPECT_FALSE(policy.has_standby());
  policy.on_ready(4, now);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_TRUE(policy.has_standby());
}

TEST_F(host_policy_without_standby, is_restored_when_the_next_runner_is_ready) {
  policy.begin(now);
  policy.on_ready(2, now);
  told();
  policy.on_death(2, "exit", now);
  EXPECT_THAT(told(), ElementsAre("lost 2: exit", "start runner 3"));
  EXPECT_FALSE(policy.serving());
  policy.on_ready(3, now);
  EXPECT_THAT(told(), ElementsAre("serve 3", "restored"));
}

TEST_F(host_policy_test, loses_nothing_with_a_standby) {
  begin_all();
  policy.on_death(3, "exit", now);
  EXPECT_THAT(told(), ElementsAre("start runner 4"));
  EXPECT_EQ(policy.serving(), 2u);
}

TEST_F(host_policy_test, lets_runners_go_on_when_the_owner_dies) {
  begin_all();
  policy.on_death(1, "killed", now);
  EXPECT_THAT(told(), ElementsAre("start owner 4"));
  EXPECT_EQ(policy.serving(), 2u);
  EXPECT_FALSE(policy.owner());
  policy.on_ready(4, now);
  EXPECT_EQ(policy.owner(), 4u);
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(host_policy_test, starts_another_for_one_that_never_became_ready) {
  policy.begin(now);
  told();
  policy.on_death(2, "exit", now);
  EXPECT_THAT(told(), ElementsAre("start runner 4"));
}

TEST_F(host_policy_test, knows_nothing_of_strangers) {
  begin_all();
  policy.on_death(2, "exit", now);
  told();
  policy.on_death(2, "exit", now); // again
  policy.on_death(99, "exit", now);
  policy.on_ready(2, now);
  policy.on_ready(99, now);
  EXPECT_THAT(told(), IsEmpty());
}

// -- hanging --

TEST_F(host_policy_test, replaces_a_late_runner_when_a_standby_is_ready) {
  begin_all();
  policy.on_oldest_batch(now, 1ms);
  EXPECT_EQ(policy.timer(), now + 20ms);
  policy.on_oldest_batch(now, 100ms); // four times what was predicted
  EXPECT_EQ(policy.timer(), now + 400ms);
  policy.on_oldest_batch(now, 1s); // a hang is a hang
  EXPECT_EQ(policy.timer(), now + 1s);
  policy.on_oldest_batch(now, 1ms);
  wait_for_timer();
  EXPECT_THAT(told(), ElementsAre("kill runner 2: late", "lost 2: late", "serve 3", "restored"));
  policy.on_oldest_batch(now, 1ms); // nobody stands by now
  EXPECT_EQ(policy.timer(), now + 1s);
}

TEST_F(host_policy_test, lets_what_has_just_started_settle) {
  auto slow = quick_limits();
  slow.settling = 100ms;
  policy = host_policy(slow);
  begin_all();
  policy.on_oldest_batch(now, 1ms);
  EXPECT_EQ(policy.timer(), now + 120ms); // the standby's start may have kept the GPU
  policy.on_death(2, "exit", now);
  EXPECT_THAT(told(), ElementsAre("lost 2: exit", "serve 3", "restored"));
  wait_for_timer(); // the one that took over has proved itself by now
  EXPECT_THAT(told(), ElementsAre("start runner 4"));
}

TEST_F(host_policy_test, kills_a_runner_whose_oldest_batch_takes_too_long) {
  begin_all();
  policy.on_oldest_batch(now);
  EXPECT_EQ(policy.timer(), now + 1s);
  policy.on_timer(now + 1s - 1ns);
  EXPECT_THAT(told(), IsEmpty());
  wait_for_timer();
  EXPECT_THAT(told(), ElementsAre("kill runner 2: hung", "lost 2: hung", "serve 3", "restored"));
  policy.on_death(2, "killed", now);
  EXPECT_THAT(told(), ElementsAre("start runner 4"));
  EXPECT_EQ(policy.serving(), 3u);
}

TEST_F(host_policy_test, measures_from_the_batch_that_is_the_oldest_now) {
  begin_all();
  policy.on_oldest_batch(now);
  policy.on_oldest_batch(now + 900ms); // the first one ended
  EXPECT_EQ(policy.timer(), now + 1900ms);
  policy.on_oldest_batch(std::nullopt);
  EXPECT_FALSE(policy.timer());
}

TEST_F(host_policy_test, does_not_blame_a_runner_for_batches_of_the_one_before_it) {
  begin_all();
  policy.on_death(2, "exit", now);
  policy.on_death(3, "exit", now);
  told();
  policy.on_oldest_batch(now); // told late: nobody serves
  now += 3s;
  policy.on_timer(now);
  for (const auto id : {4u, 5u})
    policy.on_ready(id, now);
  told();
  ASSERT_TRUE(policy.serving());
  policy.on_timer(now);
  EXPECT_THAT(told(), IsEmpty());
}

// -- back-off and crash loops --

TEST_F(host_policy_test, waits_longer_with_every_death_in_a_row) {
  begin_all();
  policy.on_death(3, "exit", now);
  EXPECT_THAT(told(), ElementsAre("start runner 4"));
  policy.on_death(4, "exit", now);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(policy.timer(), now + 10ms);
  wait_for_timer();
  EXPECT_THAT(told(), ElementsAre("start runner 5"));
  policy.on_death(5, "exit", now);
  EXPECT_EQ(policy.timer(), now + 20ms);
}

TEST_F(host_policy_test, leaves_it_to_the_breaker_in_a_crash_loop) {
  begin_all();
  for (host_id id = 2; id <= 4; ++id) { // three may die in ten seconds
    policy.on_death(id, "sticky", now);
    EXPECT_FALSE(policy.in_crash_loop());
    if (policy.timer()) wait_for_timer();
    policy.on_ready(id + 2, now);
  }
  told();
  policy.on_death(*policy.serving(), "sticky", now);
  EXPECT_TRUE(policy.in_crash_loop());
  EXPECT_THAT(told(), ElementsAre("lost 5: sticky", "serve 6"))
      << "it serves, and does not call itself restored";
  EXPECT_EQ(policy.timer(), now + 2s) << "as long as may be";
}

TEST_F(host_policy_test, counts_deaths_of_the_owner_apart) {
  begin_all();
  for (host_id owner = 1, next = 4; next < 10; owner = next++) {
    policy.on_death(owner, "exit", now);
    if (policy.timer()) wait_for_timer();
    policy.on_ready(next, now);
  }
  told();
  EXPECT_FALSE(policy.in_crash_loop());
  policy.on_death(2, "exit", now);
  EXPECT_THAT(told(), ::testing::Contains("restored"));
}

TEST_F(host_policy_test, forgets_a_crash_loop_after_a_quiet_period) {
  begin_all();
  for (host_id id = 2; id <= 5; ++id) {
    policy.on_death(id, "sticky", now);
    if (policy.timer()) wait_for_timer();
    policy.on_ready(id + 2, now);
  }
  ASSERT_TRUE(policy.in_crash_loop());
  now += 1h;
  auto by_death = policy;
  by_death.on_death(*by_death.serving(), "exit", now);
  EXPECT_FALSE(by_death.in_crash_loop());
  // A hang is noticed before the death that follows it.
  told();
  policy.on_oldest_batch(now);
  wait_for_timer();
  EXPECT_THAT(told(), ::testing::Contains("restored"));
}

// -- every sequence of events --

/// The processes as they really are, told by the actions alone, and what must be true of them.
class hosted {
public:
  explicit hosted(host_limits limits) : limits_(limits), policy_(limits) {
    policy_.begin(now_);
    follow();
  }

  static constexpr int event_kinds = 9;
  void apply(int event) {
    switch (event) {
    case 0:
      ready(first([](const process& p) { return !p.ready && !p.killed; }));
      break;
    case 1:
      die(serving_);
      break;
    case 2:
      die(first([](const process& p) { return p.role == host_role::owner; }));
      break;
    case 3:
      die(first([this](const process& p) {
        return p.role == host_role::runner && p.id != serving_ && !p.killed;
      }));
      break;
    case 4: // the news of a kill
      die(first([](const process& p) { return p.killed; }));
      break;
    case 5:
      if (serving_) busy(true);
      break;
    case 6:
      busy(false);
      break;
    case 7: // what it waits for comes
      if (policy_.timer()) pass_to(*policy_.timer());
      break;
    default: // somebody is early
      pass_to(now_ + 3ms);
    }
    follow();
  }

  /// Does nothing but what has to happen; wrong if it does not lead back to serving in time.
  void heal() {
    busy(false);
    const auto latest = now_ + limits_.crashes.max_backoff;
    for (int step = 0; step < 20 && !is_whole(); ++step) {
      const auto killed = first([](const process& p) { return p.killed; });
      const auto starting = first([](const process& p) { return !p.ready; });
      if (killed)
        die(killed);
      else if (starting)
        ready(starting);
      else if (policy_.timer())
        pass_to(*policy_.timer());
      follow();
    }
    if (!is_whole()) complain("does not get whole again");
    if (now_ > latest) complain("takes longer than the longest back-off to start what is missing");
  }

  const std::string& wrong() const { return wrong_; }

private:
  struct process {
    host_id id;
    host_role role;
    bool ready = false;
    bool killed = false;
  };

  template <class Is>
  host_id first(Is is) const {
    for (const auto& [_, each] : alive_)
      if (is(each)) return each.id;
    return 0;
  }
  void ready(host_id id) {
    if (!id) return;
    alive_.at(id).ready = true;
    policy_.on_ready(id, now_);
  }
  void die(host_id id) {
    if (!id) return;
    alive_.erase(id);
    policy_.on_death(id, "exit", now_);
  }
  void busy(bool is_busy) {
    busy_ = is_busy;
    policy_.on_oldest_batch(is_busy ? std::optional{now_} : std::nullopt);
  }
  void pass_to(time_point when) {
    now_ = std::max(now_, when);
    policy_.on_timer(now_);
  }

  bool is_whole() const {
    return serving_ && policy_.owner() && policy_.has_standby() == limits_.standby;
  }
  void complain(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  void follow() {
    for (const auto& each : policy_.take_actions())
      obey(each);
    std::size_t owners = 0, runners = 0;
    bool waits = busy_ && serving_;
    for (const auto& [_, each] : alive_) {
      (each.role == host_role::owner ? owners : runners) += 1;
      waits = waits || (!each.ready && !each.killed);
    }
    const std::size_t wanted = limits_.standby ? 2 : 1;
    if (owners > 1 || runners > wanted) complain("too many processes");
    waits = waits || owners + runners < 1 + wanted;
    if (waits != policy_.timer().has_value())
      complain(waits ? "waits without a timer" : "has a timer and waits for nothing");
    if (policy_.serving().value_or(0) != serving_) complain("says that another one serves");
    if (!serving_ &&
        first([](const process& p) { return p.role == host_role::runner && p.ready && !p.killed; }))
      complain("lets no runner serve although one is ready");
  }

  void obey(const host_policy::action& told) {
    using kind = host_policy::action::kind;
    switch (told.what) {
    case kind::start:
      if (told.id <= last_started_) complain("uses a number twice");
      last_started_ = told.id;
      alive_[told.id] = {told.id, told.role};
      break;
    case kind::kill:
      if (!alive_.contains(told.id) || alive_[told.id].killed) return complain("kills the dead");
      if (told.cause.empty()) complain("kills without a cause");
      alive_[told.id].killed = true;
      break;
    case kind::serve: {
      const auto found = alive_.find(told.id);
      if (serving_) complain("lets two serve");
      if (found == alive_.end() || !found->second.ready || found->second.killed ||
          found->second.role != host_role::runner)
        complain("lets one serve that cannot");
      serving_ = told.id;
      break;
    }
    case kind::lost:
      if (told.id != serving_) complain("loses one that does not serve");
      serving_ = 0;
      busy_ = false;
      lost_ = true;
      break;
    case kind::restored:
      if (!lost_ || !serving_) complain("is restored without a loss or without a runner");
      lost_ = false;
      break;
    }
  }

  host_limits limits_;
  host_policy policy_;
  time_point now_{1000s};
  std::map<host_id, process> alive_;
  host_id serving_ = 0;
  host_id last_started_ = 0;
  bool busy_ = false;
  bool lost_ = false;
  std::string wrong_;
};

/// Returns what is wrong with any sequence of at most `depth` further events.
std::string explore(const hosted& from, int depth, const std::string& path) {
  for (int event = 0; event < hosted::event_kinds; ++event) {
    auto next = from;
    next.apply(event);
    const auto here = path + std::to_string(event);
    if (!next.wrong().empty()) return "after events " + here + ": " + next.wrong();
    auto back = next;
    back.heal();
    if (!back.wrong().empty()) return "on the way back after events " + here + ": " + back.wrong();
    if (depth > 1)
      if (auto wrong = explore(next, depth - 1, here); !wrong.empty()) return wrong;
  }
  return {};
}

class every_sequence : public ::testing::TestWithParam<bool> {};

TEST_P(every_sequence, of_six_events_keeps_the_rules_and_leads_back_to_serving) {
  auto limits = quick_limits();
  limits.standby = GetParam();
  limits.crashes.intensity = 2;
  hosted at_start{limits};
  EXPECT_EQ(explore(at_start, 5, ""), "");
  auto all_up = at_start;
  for (int i = 0; i < 3; ++i)
    all_up.apply(0);
  EXPECT_EQ(explore(all_up, 6, "000 "), "");
}

INSTANTIATE_TEST_SUITE_P(with_and_without_a_standby, every_sequence, ::testing::Bool(),
                         [](const auto& which) { return which.param ? "standby" : "alone"; });

} // namespace
} // namespace engram
