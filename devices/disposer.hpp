#pragma once

#include "engram/base/clock.hpp"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace engram {

/// Destroys things on a thread of its own, because destroying them takes long and whoever lets go
/// of them last has no time. Thread-safe.
class disposer {
public:
  /// `on_start` is the first thing that its thread does.
  explicit disposer(std::function<void()> on_start = [] {})
      : thread_([this, on_start = std::move(on_start)] {
          on_start();
          work();
        }) {}
  ~disposer() { stop(); }

  /// Returns shared ownership of `thing`, whose last owner leaves destroying it to the disposer.
  /// After `stop` the last owner does it.
  template <class T>
  std::shared_ptr<T> shared(std::unique_ptr<T> thing) {
    return {thing.release(), [this](T* last) { dispose([last] { delete last; }); }};
  }

  /// Returns true while something waits for its destruction or undergoes it.
  bool is_busy() const {
    const std::lock_guard lock(mutex_);
    return busy_ || !left_.empty();
  }

  /// Waits until `condition` holds, asked after each destruction; false if `patience` ends first.
  template <class Condition>
  bool wait_until(Condition&& condition, duration patience) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return condition(); });
    return condition();
  }

  /// Destroys what is left and ends the thread.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

private:
  void dispose(std::function<void()> destroy) {
    {
      std::unique_lock lock(mutex_);
      if (!stopping_) {
        left_.push_back(std::move(destroy));
        lock.unlock();
        changed_.notify_all();
        return;
      }
    }
    destroy();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || !left_.empty(); });
      if (left_.empty()) return;
      const auto now = std::exchange(left_, {});
      busy_ = true;
      lock.unlock();
      for (const auto& destroy : now)
        destroy();
      lock.lock();
      busy_ = false;
      changed_.notify_all();
    }
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<void()>> left_;
  bool busy_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace engram
