#pragma once

#include "engram/base/clock.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace engram {

struct window_limits {
  duration max_wait = std::chrono::milliseconds{10};
  std::size_t target_items = 128;
};

/// Decides when the requests that wait together have waited long enough: when they are
/// `target_items`, when the oldest has waited `max_wait`, or when the earliest deadline would be at
/// risk. Told the time.
class batch_window {
public:
  explicit batch_window(window_limits limits) : limits_(limits) {}

  /// A request of `items` joined. `run_by` is the time at which its batch must leave to meet its
  /// deadline.
  void add(std::size_t items, time_point accepted, time_point run_by) noexcept {
    items_ += items;
    oldest_ = oldest_ ? std::min(*oldest_, accepted) : accepted;
    run_by_ = run_by_ ? std::min(*run_by_, run_by) : run_by;
  }
  /// Some of them left. Who is oldest among the rest is not known: the window may close early,
  /// never late.
  void remove(std::size_t items) noexcept {
    items_ -= std::min(items, items_);
    if (items_ == 0) clear();
  }
  /// Everything left; the next `add` starts a new window.
  void clear() noexcept {
    items_ = 0;
    oldest_.reset();
    run_by_.reset();
  }
  void set_limits(window_limits limits) noexcept { limits_ = limits; }

  std::size_t items() const noexcept { return items_; }
  bool is_full() const noexcept { return items_ >= limits_.target_items; }
  /// Returns when it closes by itself; nothing while empty.
  std::optional<time_point> due() const noexcept {
    if (!oldest_) return std::nullopt;
    return std::min(*oldest_ + limits_.max_wait, *run_by_);
  }
  bool is_due(time_point now) const noexcept { return oldest_ && (is_full() || now >= *due()); }

private:
  window_limits limits_;
  std::size_t items_ = 0;
  std::optional<time_point> oldest_;
  std::optional<time_point> run_by_;
};

} // namespace engram
