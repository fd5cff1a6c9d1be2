#pragma once

#include "engram/devices/nvml.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>

namespace engram::test {

/// Steers the pretended NVML, which is told what to pretend before anybody starts it.
class pretended_nvml : public ::testing::Test {
protected:
  static constexpr const char* library = PRETENDED_NVML;
  static constexpr const char* old_library = PRETENDED_OLD_NVML;

  pretended_nvml() : handle_(dlopen(library, RTLD_NOW | RTLD_LOCAL)) {}
  ~pretended_nvml() override {
    if (handle_) dlclose(handle_);
  }
  void SetUp() override {
    ASSERT_NE(handle_, nullptr) << dlerror();
    pretend("works");
  }

  void pretend(const char* what) { symbol<void (*)(const char*)>("pretend")(what); }
  /// Returns how many have started it and not shut it down.
  int users() { return symbol<int (*)()>("pretended_users")(); }
  /// Returns how often it was asked for a GPU.
  int readings() { return symbol<int (*)()>("pretended_readings")(); }

private:
  template <class Function>
  Function symbol(const char* name) {
    return reinterpret_cast<Function>(dlsym(handle_, name));
  }

  void* handle_;
};

} // namespace engram::test
