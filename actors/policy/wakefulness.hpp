#pragma once

#include "engram/base/clock.hpp"

#include <atomic>

namespace engram {

/// Decides how long a thread that has run out of work keeps looking for more before it sleeps.
/// Thread-safe.
class wakefulness {
public:
  /// Zero: it sleeps at once.
  explicit wakefulness(duration patience) noexcept : patience_(patience) {}

  bool is_on() const noexcept { return patience_ > duration::zero(); }

  /// There was work at `now`. Returns true if the caller has to see to it that somebody keeps
  /// awake: nobody does.
  bool stir(time_point now) noexcept {
    last_.store(now.time_since_epoch());
    return !awake_.load() && !awake_.exchange(true);
  }

  /// Returns true if whoever keeps awake has to go on; after false nobody does any more.
  bool goes_on(time_point now) noexcept {
    if (now.time_since_epoch() - last_.load(std::memory_order_relaxed) <= patience_) return true;
    awake_.store(false);
    // Work that came in between found somebody awake.
    return now.time_since_epoch() < last_.load() && !awake_.exchange(true);
  }

private:
  const duration patience_;
  std::atomic<duration> last_{duration::zero()};
  std::atomic<bool> awake_{false};
};

} // namespace engram
