#include "engram/kernels/isa.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

using namespace engram;

// `chosen_isa` decides once in a process, so each case asks in a child of its own. The child prints
// the choice and exits 0, or the error's message and exits 1.
[[noreturn]] void report_choice(const char* wanted) {
  if (wanted != nullptr)
    setenv("ENGRAM_ISA", wanted, 1);
  else
    unsetenv("ENGRAM_ISA");
  const auto chosen = chosen_isa();
  const std::string text =
      chosen ? std::string(to_string(*chosen))
             : std::string(to_string(chosen.error().code)) + ": " + chosen.error().message;
  std::fputs(text.c_str(), stderr);
  std::_Exit(chosen ? 0 : 1);
}

class isa_choice : public testing::Test {
protected:
  isa_choice() { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

TEST(isa, scalar_is_always_supported_and_levels_ascend) {
  const auto levels = supported_isas();
  ASSERT_FALSE(levels.empty());
  EXPECT_EQ(levels.front(), isa::scalar);
  EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
  for (isa level : levels)
    EXPECT_TRUE(is_supported(level));
}

TEST_F(isa_choice, is_the_best_level_unless_told_otherwise) {
  const std::string best(to_string(supported_isas().back()));
  EXPECT_EXIT(report_choice(nullptr), testing::ExitedWithCode(0), "^" + best + "$");
  EXPECT_EXIT(report_choice(""), testing::ExitedWithCode(0), "^" + best + "$");
}

TEST_F(isa_choice, follows_the_environment) {
  for (isa level : supported_isas()) {
    const std::string name(to_string(level));
    EXPECT_EXIT(report_choice(name.c_str()), testing::ExitedWithCode(0), "^" + name + "$");
  }
}

TEST_F(isa_choice, refuses_a_name_that_it_does_not_know) {
  EXPECT_EXIT(report_choice("mmx"), testing::ExitedWithCode(1),
              "^invalid_argument: ENGRAM_ISA=mmx .*scalar");
}

TEST_F(isa_choice, refuses_a_level_that_the_processor_lacks) {
  for (isa level : {isa::avx2, isa::avx512}) {
    if (is_supported(level)) continue;
    const std::string name(to_string(level));
    EXPECT_EXIT(report_choice(name.c_str()), testing::ExitedWithCode(1), "is not supported");
  }
}

} // namespace
