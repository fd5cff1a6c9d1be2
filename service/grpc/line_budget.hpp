#pragma once

#include "engram/base/clock.hpp"

#include <cstdint>
#include <optional>
#include <utility>

namespace engram {

/// Lets so many lines a second into a log, and counts those it leaves out. No threads, no clock.
class line_budget {
public:
  explicit line_budget(std::uint64_t lines_per_second) : most_(lines_per_second) {}

  /// If one more line may be logged: returns how many were left out since the last one. Nothing: it
  /// may not.
  std::optional<std::uint64_t> take(time_point now) {
    constexpr std::chrono::seconds period{1};
    if (now - begin_ >= period) {
      begin_ = now;
      taken_ = 0;
    }
    if (taken_ == most_) {
      ++left_out_;
      return std::nullopt;
    }
    ++taken_;
    return std::exchange(left_out_, 0);
  }

private:
  const std::uint64_t most_;
  time_point begin_{}; ///< of the second that counts
  std::uint64_t taken_ = 0;
  std::uint64_t left_out_ = 0;
};

} // namespace engram
