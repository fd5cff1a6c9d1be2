#pragma once

#include <chrono>
#include <thread>

namespace engram {

/// Looks again and again for a while after something has happened, because what follows often comes
/// sooner than a sleeping thread would wake. Only where there are cores to spare.
class spin_wait {
public:
  using clock = std::chrono::steady_clock;

  /// Returns false on a machine with few cores, where nobody waits this way.
  static bool is_worthwhile() noexcept {
    return std::thread::hardware_concurrency() >= least_cores;
  }
  /// Something has happened.
  void restart() noexcept { until_ = clock::now() + patience_; }
  /// Returns true once `happened` says so, false when it has not for too long.
  template <class Condition>
  bool until(Condition&& happened) const {
    for (unsigned round = 0;; ++round) {
      if (happened()) return true;
      // Reading the clock takes longer than looking.
      if (round % 16 == 0 && clock::now() >= until_) return false;
      pause();
    }
  }

private:
  static void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
  }

  static constexpr unsigned least_cores = 6;
  const clock::duration patience_ =
      is_worthwhile() ? std::chrono::microseconds{200} : std::chrono::microseconds{0};
  clock::time_point until_{};
};

} // namespace engram
