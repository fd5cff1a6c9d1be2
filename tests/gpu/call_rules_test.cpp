#include "engram/tests/gpu/cuda_inject/call_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace engram::inject {
namespace {

using namespace std::chrono_literals;

call_rules rules_of(const std::string& rules, std::uint64_t process = 0,
                    const std::string& more = "") {
  auto parsed = call_rules::parse("{" + more + "\"rules\": [" + rules + "]}", process);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return std::move(*parsed);
}

/// A thread of a program that calls CUDA.
struct caller {
  call_rules& rules;
  thread_calls thread{};

  /// Returns what the program gets.
  int call(std::string_view name, int real = 0, duration at = 0s,
           call_api api = call_api::runtime) {
    call_rules::enter(thread);
    const auto other = rules.leave(thread, api, name, real, at);
    return other ? other->code : real;
  }
  std::vector<int> calls(std::string_view name, int times) {
    std::vector<int> got;
    for (int i = 0; i < times; ++i)
      got.push_back(call(name));
    return got;
  }
};

std::size_t count(const std::vector<int>& codes, int code) {
  return static_cast<std::size_t>(std::ranges::count(codes, code));
}

TEST(call_rules, substitute_what_they_name_and_nothing_else) {
  auto rules = rules_of(R"({"calls": ["cudaMalloc", "cudaGraph*"], "error": 2})");
  caller program{rules};
  EXPECT_EQ(program.call("cudaMalloc"), 2);
  EXPECT_EQ(program.call("cudaGraphLaunch"), 2);
  EXPECT_EQ(program.call("cudaMallocHost"), 0);
  EXPECT_EQ(program.call("cudaFree"), 0);
  EXPECT_EQ(program.call("cuGraphLaunch", 0, 0s, call_api::driver), 0);
}

TEST(call_rules, a_star_is_every_runtime_call_that_returns_a_code) {
  auto rules = rules_of(R"({"calls": "*", "error": "cudaErrorIllegalAddress"})");
  caller program{rules};
  EXPECT_EQ(program.call("cudaEventQuery"), 700);
  EXPECT_EQ(program.call("__cudaLaunchKernel"), 700);
  for (const auto* name : {"cudaGetErrorString", "cudaGetErrorName", "cudaCreateChannelDesc",
                           "__cudaRegisterFatBinary", "__cudaPopCallConfiguration"})
    EXPECT_EQ(program.call(name), 0) << name;
  EXPECT_EQ(program.call("cuLaunchKernel", 0, 0s, call_api::driver), 0);
  EXPECT_TRUE(rules.concern(call_api::runtime));
  EXPECT_FALSE(rules.concern(call_api::driver));
}

TEST(call_rules, names_are_compared_without_their_suffixes) {
  EXPECT_EQ(plain_call_name("cudaMemcpyAsync_ptsz"), "cudaMemcpyAsync");
  EXPECT_EQ(plain_call_name("cudaGetDeviceProperties_v2"), "cudaGetDeviceProperties");
  EXPECT_EQ(plain_call_name("cudaStreamGetCaptureInfo_v2_ptsz"), "cudaStreamGetCaptureInfo");
  EXPECT_EQ(plain_call_name("cudaLaunchKernel_ptsz_v7000"), "cudaLaunchKernel");
  EXPECT_EQ(plain_call_name("__cudaLaunchKernel_ptsz"), "cudaLaunchKernel");
  EXPECT_EQ(plain_call_name("cuMemCreate"), "cuMemCreate");
  EXPECT_EQ(plain_call_name("cudaFoo_value"), "cudaFoo_value");
}

TEST(call_rules, driver_calls_are_named_by_themselves) {
  auto rules = rules_of(R"({"calls": ["cuMem*"], "error": 2})");
  caller program{rules};
  EXPECT_EQ(program.call("cuMemCreate", 0, 0s, call_api::driver), 2);
  EXPECT_EQ(program.call("cuMemAlloc_v2", 0, 0s, call_api::driver), 2);
  EXPECT_EQ(program.call("cuInit", 0, 0s, call_api::driver), 0);
  EXPECT_FALSE(rules.concern(call_api::runtime));
  EXPECT_TRUE(rules.concern(call_api::driver));
}

TEST(call_rules, calls_inside_of_calls_are_left_alone) {
  auto rules = rules_of(R"({"calls": ["cuMemAlloc"], "error": 2})");
  thread_calls thread;
  call_rules::enter(thread); // cudaMalloc
  call_rules::enter(thread); // cuMemAlloc in it
  EXPECT_FALSE(rules.leave(thread, call_api::driver, "cuMemAlloc", 0, 0s));
  EXPECT_FALSE(rules.leave(thread, call_api::runtime, "cudaMalloc", 0, 0s));
  EXPECT_EQ(thread.depth, 0);
}

TEST(call_rules, an_end_without_a_beginning_is_understood) {
  auto rules = rules_of(R"({"calls": "*", "error": 2})");
  thread_calls thread; // the library is loaded within a call
  EXPECT_TRUE(rules.leave(thread, call_api::runtime, "cudaSetDevice", 0, 0s));
  EXPECT_EQ(thread.depth, 0);
}

TEST(call_rules, chance_follows_the_seed) {
  const auto one = R"({"calls": "*", "error": 999, "percent": 20})";
  auto a = rules_of(one, 1, R"("seed": 7,)"), b = rules_of(one, 2, R"("seed": 7,)"),
       c = rules_of(one, 1, R"("seed": 8,)"),
       d = rules_of(one, 1, R"("seed": 7, "seed_by_process": true,)"),
       e = rules_of(one, 2, R"("seed": 7, "seed_by_process": true,)");
  const auto of = [](call_rules& rules) { return caller{rules}.calls("cudaFree", 2000); };
  const auto first = of(a);
  EXPECT_EQ(first, of(b)) << "the process does not matter";
  EXPECT_NE(first, of(c));
  EXPECT_NE(of(d), of(e)) << "the process matters";
  EXPECT_GT(count(first, 999), 320u);
  EXPECT_LT(count(first, 999), 480u);
}

TEST(call_rules, the_first_ones_are_skipped_and_the_count_is_kept) {
  auto rules = rules_of(R"({"calls": ["cudaFree"], "error": 1, "skip": 3, "count": 2})");
  caller program{rules};
  EXPECT_EQ(program.call("cudaMalloc"), 0) << "is not counted";
  EXPECT_THAT(program.calls("cudaFree", 7), testing::ElementsAre(0, 0, 0, 1, 1, 0, 0));
}

TEST(call_rules, wait_for_their_time) {
  auto rules = rules_of(R"({"calls": "*", "error": 1, "after_ms": 1500})");
  caller program{rules};
  EXPECT_EQ(program.call("cudaFree", 0, 1499ms), 0);
  EXPECT_EQ(program.call("cudaFree", 0, 1500ms), 1);
}

TEST(call_rules, the_first_rule_that_fires_decides) {
  auto rules = rules_of(R"({"calls": ["cudaFree"], "error": 2, "count": 1},
                           {"calls": "*", "error": 1})");
  EXPECT_THAT(caller{rules}.calls("cudaFree", 3), testing::ElementsAre(2, 1, 1));
}

TEST(call_rules, a_real_error_is_kept_and_not_ready_is_none) {
  auto rules = rules_of(R"({"calls": "*", "error": 1, "count": 2})");
  caller program{rules};
  EXPECT_EQ(program.call("cudaMalloc", 2), 2);
  EXPECT_EQ(program.call("cudaEventQuery", 600), 1);
  EXPECT_EQ(program.call("cudaEventQuery", 0), 1);
}

TEST(call_rules, what_was_substituted_is_the_thread_s_last_error) {
  auto rules = rules_of(R"({"calls": ["cudaLaunchKernel"], "error": 719, "count": 1})");
  caller program{rules}, other{rules};
  EXPECT_EQ(program.call("cudaLaunchKernel"), 719); // whose code <<<>>> drops
  EXPECT_EQ(other.call("cudaGetLastError"), 0) << "of another thread";
  EXPECT_EQ(program.call("cudaPeekAtLastError"), 719);
  EXPECT_EQ(program.call("cudaGetLastError"), 719);
  EXPECT_EQ(program.call("cudaGetLastError"), 0);
}

TEST(call_rules, the_count_is_kept_by_many_threads) {
  auto rules = rules_of(R"({"calls": "*", "error": 1, "count": 1000})");
  std::atomic<std::size_t> substituted{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] { substituted += count(caller{rules}.calls("cudaFree", 5000), 1); });
  }
  EXPECT_EQ(substituted, 1000u);
}

TEST(call_rules, say_what_is_wrong_with_a_file) {
  const auto said = [](const std::string& text) {
    const auto parsed = call_rules::parse(text);
    return parsed ? "nothing" : parsed.error().message;
  };
  using testing::HasSubstr;
  EXPECT_THAT(said("{"), HasSubstr("no JSON"));
  EXPECT_THAT(said("[]"), HasSubstr("no object"));
  EXPECT_THAT(said("{}"), HasSubstr("no list \"rules\""));
  EXPECT_THAT(said(R"({"rules": [], "speed": 1})"), HasSubstr("\"speed\""));
  EXPECT_THAT(said(R"({"rules": [], "seed": -1})"), HasSubstr("\"seed\" is -1"));
  EXPECT_THAT(said(R"({"rules": [], "log": 1})"), HasSubstr("\"log\""));
  EXPECT_THAT(said(R"({"rules": [3]})"), HasSubstr("rule 1"));
  EXPECT_THAT(said(R"({"rules": [{"error": 1}]})"), HasSubstr("names no \"calls\""));
  EXPECT_THAT(said(R"({"rules": [{"calls": ["malloc"], "error": 1}]})"), HasSubstr("malloc"));
  EXPECT_THAT(said(R"({"rules": [{"calls": [1], "error": 1}]})"), HasSubstr("\"calls\" has 1"));
  EXPECT_THAT(said(R"({"rules": [{"calls": "*"}]})"), HasSubstr("\"error\""));
  EXPECT_THAT(said(R"({"rules": [{"calls": "*", "error": "cudaErrorX"}]})"),
              HasSubstr("cudaErrorX"));
  EXPECT_THAT(said(R"({"rules": [{"calls": "*", "error": 0}]})"), HasSubstr("\"error\" is 0"));
  EXPECT_THAT(said(R"({"rules": [{"calls": "*", "error": 1, "percent": 101}]})"),
              HasSubstr("\"percent\" is 101"));
  EXPECT_EQ(said(R"({"rules": []})"), "nothing");
}

} // namespace
} // namespace engram::inject
