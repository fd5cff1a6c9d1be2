// The library as the driver loads it, where there may be no driver: what a program with a bad file
// sees.

#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace {

/// Loads the library and starts it; returns what it says.
std::string said_with_config(const char* path) {
  void* library = dlopen(CUDA_INJECT, RTLD_NOW | RTLD_LOCAL);
  if (!library) return std::string{"not loaded: "} + dlerror();
  const auto initialize = reinterpret_cast<int (*)()>(dlsym(library, "InitializeInjection"));
  if (!initialize) return std::string{"no entry: "} + dlerror();
  if (path)
    setenv("ENGRAM_CUDA_INJECT_CONFIG", path, 1);
  else
    unsetenv("ENGRAM_CUDA_INJECT_CONFIG");
  testing::internal::CaptureStderr();
  EXPECT_EQ(initialize(), 1) << "the driver would not go on";
  return testing::internal::GetCapturedStderr();
}

/// One sentence that ends in what follows from it.
auto refuses(const std::string& why) {
  return testing::AllOf(testing::StartsWith("cuda_inject: "), testing::HasSubstr(why),
                        testing::EndsWith("Nothing is substituted.\n"));
}

TEST(cuda_inject, without_a_file_it_says_so_and_lets_the_program_go_on) {
  EXPECT_THAT(said_with_config(nullptr), refuses("names no file"));
  EXPECT_THAT(said_with_config("/nowhere/config.json"), refuses("/nowhere/config.json"));
}

TEST(cuda_inject, a_bad_file_is_refused_in_one_sentence) {
  const auto path = testing::TempDir() + "cuda_inject_bad.json";
  std::ofstream{path} << R"({"rules": [{"calls": "*", "error": "cudaErrorX"}]})";
  const auto said = said_with_config(path.c_str());
  EXPECT_THAT(said, refuses("cudaErrorX"));
  EXPECT_EQ(std::ranges::count(said, '\n'), 1);
}

} // namespace
