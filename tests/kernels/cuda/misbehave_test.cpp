#include "engram/kernels/cuda/misbehave.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <thread>

namespace engram {
namespace {

using namespace std::chrono_literals;

/// A stream of a process that is going to be spoilt.
cudaStream_t new_stream() {
  cudaStream_t stream = nullptr;
  if (const auto code = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)) {
    std::fprintf(stderr, "no stream: %s\n", cudaGetErrorName(code));
    _exit(2);
  }
  return stream;
}

/// Ends the process: with 0 if `what` came to `expected` when its kernel had run.
[[noreturn]] void spoil(misbehaviour what, cudaError_t expected) {
  auto* stream = new_stream();
  const auto launched = cuda::misbehave(what, stream);
  const auto ended = cudaStreamSynchronize(stream);
  std::fprintf(stderr, "launch: %s, kernel: %s\n", cudaGetErrorName(launched),
               cudaGetErrorName(ended));
  _exit(launched == cudaSuccess && ended == expected ? 0 : 1);
}

/// Ends the process: with 0 if the kernel still runs after a while.
[[noreturn]] void hang_for_a_while() {
  auto* stream = new_stream();
  const auto launched = cuda::misbehave(misbehaviour::hang, stream);
  std::this_thread::sleep_for(500ms);
  const auto now = cudaStreamQuery(stream);
  std::fprintf(stderr, "launch: %s, kernel: %s\n", cudaGetErrorName(launched),
               cudaGetErrorName(now));
  _exit(launched == cudaSuccess && now == cudaErrorNotReady ? 0 : 1);
}

/// Each in a process of its own, which has not touched CUDA before.
class cuda_misbehave : public testing::Test {
protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
using cuda_misbehave_death_test = cuda_misbehave;

TEST_F(cuda_misbehave_death_test, an_illegal_address_is_found) {
  EXPECT_EXIT(spoil(misbehaviour::illegal_address, cudaErrorIllegalAddress),
              testing::ExitedWithCode(0), "");
}

TEST_F(cuda_misbehave_death_test, a_trap_is_a_launch_failure) {
  EXPECT_EXIT(spoil(misbehaviour::trap, cudaErrorLaunchFailure), testing::ExitedWithCode(0), "");
}

TEST_F(cuda_misbehave_death_test, an_assertion_fails_in_every_build) {
  EXPECT_EXIT(spoil(misbehaviour::assertion, cudaErrorAssert), testing::ExitedWithCode(0), "");
}

TEST_F(cuda_misbehave_death_test, a_kernel_that_never_ends_runs_on) {
  EXPECT_EXIT(hang_for_a_while(), testing::ExitedWithCode(0), "");
}

TEST_F(cuda_misbehave, a_refused_request_for_memory_leaves_nothing_behind) {
  EXPECT_EQ(cuda::misbehave(misbehaviour::oom, nullptr), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 1 << 20), cudaSuccess);
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
}

TEST(misbehaviours, have_names_that_are_read_back) {
  for (const auto name : misbehaviour_names) {
    const auto what = parse_misbehaviour(name);
    ASSERT_TRUE(what) << name;
    EXPECT_EQ(to_string(*what), name);
  }
  EXPECT_FALSE(parse_misbehaviour("exit"));
  EXPECT_FALSE(parse_misbehaviour(""));
}

} // namespace
} // namespace engram
