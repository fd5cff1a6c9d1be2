#pragma once

#include "engram/base/trace.hpp"

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace engram::test {

/// Is the process's trace sink while it lives, and writes down what it hears: "push NAME", "pop",
/// "begin NAME RANGE", "end RANGE" with ranges counted from 1.
class recording_sink final : public trace_sink {
public:
  recording_sink() { current_trace_sink = this; }
  ~recording_sink() override { current_trace_sink = nullptr; }
  recording_sink(const recording_sink&) = delete;
  recording_sink& operator=(const recording_sink&) = delete;

  void push(const char* name) noexcept override { write(std::string{"push "} + name); }
  void pop() noexcept override { write("pop"); }
  std::uint64_t begin(const char* name) noexcept override {
    const std::lock_guard lock{mutex_};
    ++ranges_;
    heard_.push_back(std::string{"begin "} + name + " " + std::to_string(ranges_));
    return ranges_;
  }
  void end(std::uint64_t range) noexcept override { write("end " + std::to_string(range)); }

  std::vector<std::string> heard() const {
    const std::lock_guard lock{mutex_};
    return heard_;
  }

private:
  void write(std::string line) {
    const std::lock_guard lock{mutex_};
    heard_.push_back(std::move(line));
  }

  mutable std::mutex mutex_;
  std::uint64_t ranges_ = 0;
  std::vector<std::string> heard_;
};

} // namespace engram::test
