#include "engram/devices/fault_points.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace engram {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using kind = fault_action::kind;
using namespace std::chrono_literals;

constexpr fault_tasks any_task{kind::fail, kind::delay, kind::hang, kind::exit, kind::corrupt};

// -- grammar --

struct good_setting {
  const char* text;
  kind what;
  fault_class fault = fault_class::transient;
  duration wait{};
};

class good_fault_setting : public ::testing::TestWithParam<good_setting> {};

TEST_P(good_fault_setting, is_accepted_and_acted_out) {
  const auto& expected = GetParam();
  EXPECT_TRUE(check_fault_setting(expected.text));
  fault_points points;
  auto& point = points.site("s", "", any_task);
  ASSERT_TRUE(points.arm(expected.text));
  const auto action = point.fire();
  EXPECT_EQ(action.what, expected.what);
  EXPECT_EQ(action.fault, expected.fault);
  EXPECT_EQ(action.wait, expected.wait);
}

INSTANTIATE_TEST_SUITE_P(
    grammar, good_fault_setting,
    ::testing::Values(good_setting{"s=off", kind::none}, good_setting{"s=return", kind::fail},
                      good_setting{"s=return(oom)", kind::fail, fault_class::oom},
                      good_setting{"s=return(transient)", kind::fail, fault_class::transient},
                      good_setting{"s=return(sticky)", kind::fail, fault_class::sticky},
                      good_setting{"s=return(no_device)", kind::fail, fault_class::no_device},
                      good_setting{"s=delay(20)", kind::delay, fault_class::transient, 20ms},
                      good_setting{"s=delay(0.5)", kind::delay, fault_class::transient, 500us},
                      good_setting{"s=hang", kind::hang}, good_setting{"s=exit", kind::exit},
                      good_setting{"s=corrupt", kind::corrupt},
                      good_setting{"s=100%hang", kind::hang}, good_setting{"s=0%hang", kind::none},
                      good_setting{"s=0.0%1*hang->exit", kind::exit},
                      good_setting{"s=100%3*return(oom)->off", kind::fail, fault_class::oom},
                      good_setting{" s = 100 % 2 * return ( oom ) -> hang ", kind::fail,
                                   fault_class::oom}));

struct bad_setting {
  const char* text;
  const char* quoted;  ///< the part that is wrong
  const char* allowed; ///< what the message offers instead
};

class bad_fault_setting : public ::testing::TestWithParam<bad_setting> {};

TEST_P(bad_fault_setting, is_refused_with_what_is_wrong_and_what_is_allowed) {
  const auto checked = check_fault_setting(GetParam().text);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ec::invalid_argument);
  EXPECT_THAT(checked.error().message,
              AllOf(HasSubstr(GetParam().quoted), HasSubstr(GetParam().allowed)));
  fault_points points;
  points.site("s", "", any_task);
  EXPECT_EQ(points.arm(GetParam().text).error(), checked.error());
}

INSTANTIATE_TEST_SUITE_P(
    grammar, bad_fault_setting,
    ::testing::Values(
        bad_setting{"", "\"\"", "SITE=TERM"}, bad_setting{"s", "\"s\"", "SITE=TERM"},
        bad_setting{"=hang", "\"=hang\"", "no site"},
        bad_setting{"s=", "\"\" at character 3", "off, return, delay, hang, exit, corrupt or cuda"},
        bad_setting{"s=explode", "\"explode\" at character 3", "off, return, delay"},
        bad_setting{"s=return(broken)", "\"return(broken)\"", "return(oom)"},
        bad_setting{"s=return()", "\"return()\"", "return(sticky)"},
        bad_setting{"s=return(oom", "\"return(oom\"", "no ')'"},
        bad_setting{"s=return(oom)x", "\"return(oom)x\"", "no ')'"},
        bad_setting{"s=delay", "\"delay\"", "milliseconds"},
        bad_setting{"s=delay(soon)", "\"delay(soon)\"", "milliseconds"},
        bad_setting{"s=delay(-1)", "\"delay(-1)\"", "milliseconds"},
        bad_setting{"s=delay(nan)", "\"delay(nan)\"", "milliseconds"},
        bad_setting{"s=delay(1e3)", "\"delay(1e3)\"", "milliseconds"},
        bad_setting{"s=delay(3600001)", "\"delay(3600001)\"", "3600000"},
        bad_setting{"s=hang(1)", "\"hang(1)\"", "no argument"},
        bad_setting{"s=exit(0)", "\"exit(0)\"", "no argument"},
        bad_setting{"s=corrupt(all)", "\"corrupt(all)\"", "no argument"},
        bad_setting{"s=off()", "\"off()\"", "no argument"},
        bad_setting{"s=101%hang", "\"101\" at character 3", "0 to 100"},
        bad_setting{"s=-1%hang", "\"-1\"", "0 to 100"},
        bad_setting{"s=x%hang", "\"x\"", "0 to 100"}, bad_setting{"s=%hang", "\"\"", "0 to 100"},
        bad_setting{"s=0*hang", "\"0\"", "at least 1"},
        bad_setting{"s=-2*hang", "\"-2\"", "at least 1"},
        bad_setting{"s=1.5*hang", "\"1.5\"", "whole number"},
        bad_setting{"s=99999999999999999999*hang", "\"99999999999999999999\"", "whole number"},
        bad_setting{"s=3*5%hang", "\"3*5\"", "0 to 100"},
        bad_setting{"s=hang->", "\"\" at character 9", "empty term"},
        bad_setting{"s=hang->->exit", "\"\"", "empty term"},
        bad_setting{"s=hang->boom", "\"boom\" at character 9", "off, return"}));

// -- arming --

TEST(fault_points, are_off_until_they_are_armed) {
  fault_points points;
  auto& point = points.site("gpu0.launch", "launch of a batch", any_task);
  EXPECT_FALSE(point.fire());
  ASSERT_TRUE(points.arm("gpu0.launch=hang"));
  EXPECT_TRUE(point.fire());
  points.disarm_all();
  EXPECT_FALSE(point.fire());
}

TEST(fault_points, refuse_an_unknown_site_and_list_the_known_ones) {
  fault_points points;
  EXPECT_THAT(points.arm("gpu0.launch=hang").error().message, HasSubstr("none"));
  points.site("gpu0.launch", "", any_task);
  points.site("cpu.launch", "", any_task);
  const auto armed = points.arm("gpu1.launch=hang");
  ASSERT_FALSE(armed);
  EXPECT_EQ(armed.error().code, ec::not_found);
  EXPECT_THAT(armed.error().message,
              AllOf(HasSubstr("\"gpu1.launch\""), HasSubstr("cpu.launch, gpu0.launch")));
}

TEST(fault_points, of_one_name_are_one) {
  fault_points points;
  const auto& first = points.site("a", "once", any_task);
  EXPECT_EQ(&points.site("a", "again", any_task), &first);
  ASSERT_THAT(points.list(), SizeIs(1));
  EXPECT_EQ(points.list()[0].meaning, "again");
}

TEST(fault_points, arm_several_or_none) {
  fault_points points;
  auto& a = points.site("a", "", any_task);
  auto& b = points.site("b", "", any_task);
  EXPECT_FALSE(points.arm_all(split_fault_settings("a=hang; b=boom")));
  EXPECT_FALSE(points.arm_all(split_fault_settings("a=hang; c=hang")));
  EXPECT_FALSE(a.fire());
  ASSERT_TRUE(points.arm_all(split_fault_settings(" a=hang ;; b=exit; ")));
  EXPECT_EQ(a.fire().what, kind::hang);
  EXPECT_EQ(b.fire().what, kind::exit);
  EXPECT_TRUE(points.arm_all({}));
}

TEST(fault_points, refuse_a_task_that_the_site_does_not_do_and_list_those_that_it_does) {
  fault_points points;
  auto& point = points.site("http.send", "", {kind::delay, kind::fail});
  auto& other = points.site("a", "", any_task);
  const std::vector<std::string> settings{"a=hang", "http.send=5%return->1*corrupt"};
  for (const auto& refused : {points.arm("http.send=corrupt"), points.arm_all(settings),
                              points.check("http.send=2*delay(1)->corrupt")}) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::invalid_argument);
    EXPECT_EQ(refused.error().message, "fault site \"http.send\" does not take corrupt; it takes "
                                       "off, return, delay");
  }
  EXPECT_FALSE(point.is_armed());
  EXPECT_FALSE(other.is_armed());
  EXPECT_TRUE(points.arm("http.send=1*off->return"));
}

TEST(fault_points, can_be_checked_without_being_armed) {
  fault_points points;
  auto& point = points.site("a", "", any_task);
  EXPECT_TRUE(points.check("a=hang"));
  EXPECT_EQ(points.check("a=boom").error(), points.arm("a=boom").error());
  EXPECT_EQ(points.check("b=hang").error(), points.arm("b=hang").error());
  EXPECT_FALSE(point.is_armed());
}

TEST(fault_points, refuse_a_site_that_is_set_twice) {
  fault_points points;
  points.site("a", "", any_task);
  const auto armed = points.arm_all(split_fault_settings("a=hang;a=exit"));
  ASSERT_FALSE(armed);
  EXPECT_THAT(armed.error().message, HasSubstr("\"a\" is set twice"));
}

TEST(fault_points, forget_the_old_program_when_armed_again) {
  fault_points points;
  auto& point = points.site("a", "", any_task);
  ASSERT_TRUE(points.arm("a=2*hang"));
  EXPECT_EQ(point.fire().what, kind::hang);
  ASSERT_TRUE(points.arm("a=1*exit"));
  EXPECT_EQ(point.fire().what, kind::exit);
  EXPECT_FALSE(point.fire());
}

// -- counts, chains, chance --

std::vector<kind> fire_times(fault_point& point, int times) {
  std::vector<kind> fired;
  for (int i = 0; i < times; ++i)
    fired.push_back(point.fire().what);
  return fired;
}

TEST(fault_points, go_on_to_the_next_term_when_one_is_used_up) {
  fault_points points;
  auto& point = points.site("a", "", any_task);
  ASSERT_TRUE(points.arm("a=2*hang->1*off->1*exit"));
  EXPECT_EQ(fire_times(point, 6),
            (std::vector{kind::hang, kind::hang, kind::none, kind::exit, kind::none, kind::none}));
}

TEST(fault_points, go_on_to_the_next_term_when_chance_passes_one_by) {
  fault_points points;
  auto& point = points.site("a", "", any_task);
  ASSERT_TRUE(points.arm("a=50%3*hang->exit"));
  const auto fired = fire_times(point, 100);
  EXPECT_EQ(std::count(fired.begin(), fired.end(), kind::hang), 3);
  EXPECT_EQ(std::count(fired.begin(), fired.end(), kind::exit), 97);
}

TEST(fault_points, fire_about_as_often_as_they_should) {
  fault_points points(42);
  auto& point = points.site("a", "", any_task);
  ASSERT_TRUE(points.arm("a=20%hang"));
  const auto fired = fire_times(point, 10'000);
  // Five standard deviations of 40.
  EXPECT_NEAR(static_cast<double>(std::count(fired.begin(), fired.end(), kind::hang)), 2'000, 200);
}

TEST(fault_points, repeat_themselves_for_the_same_seed_only) {
  const auto pattern = [](std::uint64_t seed, std::string name) {
    fault_points points(seed);
    auto& point = points.site(name, "", any_task);
    EXPECT_TRUE(points.arm(name + "=50%hang"));
    return fire_times(point, 64);
  };
  EXPECT_EQ(pattern(1, "a"), pattern(1, "a"));
  EXPECT_NE(pattern(1, "a"), pattern(2, "a"));
  EXPECT_NE(pattern(1, "a"), pattern(1, "b"));
}

TEST(fault_points, tell_what_is_armed_and_how_often_it_fired) {
  fault_points points;
  auto& point = points.site("a", "where a batch starts", any_task);
  points.site("b", "where it ends", any_task);
  ASSERT_TRUE(points.arm("a=1*off->2*hang"));
  fire_times(point, 5);
  const auto listed = points.list();
  ASSERT_THAT(listed, SizeIs(2));
  EXPECT_EQ(listed[0].name, "a");
  EXPECT_EQ(listed[0].meaning, "where a batch starts");
  EXPECT_EQ(listed[0].tasks.to_string(), "return, delay, hang, exit, corrupt");
  EXPECT_EQ(listed[0].setting, "1*off->2*hang");
  EXPECT_EQ(listed[0].fired, 2u);
  EXPECT_EQ(listed[1].setting, "off");
  EXPECT_EQ(listed[1].fired, 0u);
  ASSERT_TRUE(points.arm("a=off"));
  EXPECT_EQ(points.list()[0].setting, "off");
  EXPECT_EQ(points.list()[0].fired, 2u);
}

TEST(fault_points, fire_while_others_arm_them) {
  constexpr int rounds = 2'000;
  fault_points points;
  auto& point = points.site("a", "", any_task);
  std::atomic<std::uint64_t> fired{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 3; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < rounds; ++i)
          if (point.fire()) ++fired;
      });
    threads.emplace_back([&] {
      for (int i = 0; i < rounds; ++i)
        EXPECT_TRUE(points.arm(i % 2 ? "a=50%5*hang" : "a=off"));
    });
    threads.emplace_back([&] {
      for (int i = 0; i < rounds / 10; ++i)
        EXPECT_THAT(points.list(), SizeIs(1));
    });
  }
  EXPECT_EQ(points.list()[0].fired, fired);
}

TEST(fault_class, has_a_name_for_each) {
  for (int i = 0; i <= static_cast<int>(fault_class::last_); ++i) {
    const auto fault = static_cast<fault_class>(i);
    EXPECT_EQ(parse_fault_class(to_string(fault)), fault);
  }
  EXPECT_EQ(parse_fault_class("broken"), std::nullopt);
}

} // namespace
} // namespace engram
