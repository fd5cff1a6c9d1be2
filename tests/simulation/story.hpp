#pragma once

#include "engram/base/clock.hpp"

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace engram::simulation {

/// Who hears a line.
using teller = std::function<void(std::string_view)>;

/// What happens to one seed, a line an event, told as it happens: milliseconds since the start,
/// who, what.
class story {
public:
  /// Without a `tell` nobody listens.
  story(const clock_source& clock, teller tell)
      : clock_(clock), start_(clock.now()), tell_(std::move(tell)) {}

  /// False if composing a line would be work for nobody.
  bool is_told() const noexcept { return tell_ != nullptr; }
  void add(std::string_view who, std::string_view what) const { add(clock_.now(), who, what); }
  void add(time_point when, std::string_view who, std::string_view what) const {
    if (!tell_) return;
    char head[48];
    std::snprintf(head, sizeof head, "%12.3f ms  %-9.*s ", to_seconds(when - start_) * 1e3,
                  static_cast<int>(who.size()), who.data());
    tell_(std::string{head}.append(what));
  }
  /// A line without time: what the world is like, the verdict.
  void add_plain(std::string_view what) const {
    if (tell_) tell_(what);
  }

private:
  const clock_source& clock_;
  time_point start_;
  teller tell_;
};

} // namespace engram::simulation
