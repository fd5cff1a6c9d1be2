#pragma once

#include <functional>
#include <mutex>
#include <utility>

namespace engram {

/// Wakes whoever is attached. Belongs to the pipeline and outlives both sides, so that a restarted
/// actor takes the place of the dead one. Thread-safe.
class doorbell {
public:
  /// Calls `wake`, which must not block, throw or come back here; at once if somebody rang while
  /// nobody was there.
  void attach(std::function<void()> wake) {
    const std::lock_guard lock{mutex_};
    wake_ = std::move(wake);
    if (std::exchange(missed_, false)) wake_();
  }
  /// Once it has returned, nobody is woken any more.
  void detach() {
    const std::lock_guard lock{mutex_};
    wake_ = nullptr;
  }
  void ring() {
    const std::lock_guard lock{mutex_};
    if (wake_)
      wake_();
    else
      missed_ = true;
  }

private:
  std::mutex mutex_;
  std::function<void()> wake_;
  bool missed_ = false;
};

} // namespace engram
