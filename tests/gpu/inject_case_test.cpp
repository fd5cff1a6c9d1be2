#include "engram/tests/gpu/cuda_inject/call_rules.hpp"
#include "engram/tests/gpu/inject_case.hpp"

#include <gtest/gtest.h>

#include <set>

namespace engram::inject {
namespace {

TEST(inject_cases, are_files_that_the_library_reads) {
  std::set<std::string> names;
  for (const auto& each : inject_cases()) {
    const auto rules = call_rules::parse(each.config("/tmp/log"));
    ASSERT_TRUE(rules) << each.name << ": " << rules.error().message;
    EXPECT_EQ(rules->log(), "/tmp/log");
    EXPECT_TRUE(rules->concern(call_api::runtime)) << each.name;
    EXPECT_TRUE(names.insert(each.name).second) << each.name;
  }
  EXPECT_TRUE(names.contains("all/launch_failure"));
}

TEST(inject_cases, substitute_their_code) {
  for (const auto& each : inject_cases()) {
    auto rules = call_rules::parse(each.config("/tmp/log"));
    ASSERT_TRUE(rules);
    thread_calls thread;
    int substituted = 0;
    for (int i = 0; i < 1000; ++i) {
      call_rules::enter(thread);
      const auto got =
          rules->leave(thread, call_api::runtime, "cudaEventQuery", 0, std::chrono::seconds{10});
      if (!got) continue;
      EXPECT_EQ(got->code, each.code) << each.name;
      ++substituted;
    }
    EXPECT_GT(substituted, 0) << each.name;
  }
}

} // namespace
} // namespace engram::inject
