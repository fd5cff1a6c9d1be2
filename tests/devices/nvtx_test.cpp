// What a profiler sees of the trace ranges. NVTX and the sink are chosen once a process, so this
// program has one test for each way to be started.

#include "engram/base/trace.hpp"
#include "engram/devices/nvtx.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

namespace {

using namespace engram;

/// A process that nobody watches yet, with the listener ready to be asked what it heard.
struct nvtx : ::testing::Test {
  nvtx() {
    for (const char* name : {"ENGRAM_NVTX", "NVTX_INJECTION64_PATH", "NSYS_PROFILING_SESSION_ID"})
      ::unsetenv(name);
    current_trace_sink = nullptr;
  }
  ~nvtx() override { current_trace_sink = nullptr; }

  static std::string heard() {
    void* listener = ::dlopen(NVTX_LISTENER, RTLD_NOW);
    if (!listener) return ::dlerror();
    const auto ask = reinterpret_cast<const char* (*)()>(::dlsym(listener, "nvtx_listener_heard"));
    return ask ? ask() : "no nvtx_listener_heard";
  }
};

TEST_F(nvtx, is_off_when_nobody_watches) {
  EXPECT_FALSE(start_nvtx());
  EXPECT_EQ(current_trace_sink, nullptr);
}

TEST_F(nvtx, can_be_refused_under_a_profiler) {
  ::setenv("NVTX_INJECTION64_PATH", NVTX_LISTENER, 1);
  ::setenv("ENGRAM_NVTX", "0", 1);
  EXPECT_FALSE(start_nvtx());
  EXPECT_EQ(current_trace_sink, nullptr);
}

TEST_F(nvtx, shows_a_profiler_each_range_once_with_its_name) {
  ::setenv("NVTX_INJECTION64_PATH", NVTX_LISTENER, 1);
  ASSERT_TRUE(start_nvtx());
  ASSERT_TRUE(start_nvtx()) << "a second call changes nothing";
  async_trace_range window{"window"};
  {
    const trace_range outer{"kernel"};
    const trace_range inner{"refine"};
  }
  std::thread{[range = std::move(window)]() mutable { range.end(); }}.join();
  EXPECT_EQ(heard(), "domain engram\nstart window\npush kernel\npush refine\npop\npop\nend 42\n");
}

} // namespace
