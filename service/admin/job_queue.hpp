#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace engram {

/// Runs what would block its caller for long, on one thread, in the order in which it came.
/// Thread-safe.
class job_queue {
public:
  explicit job_queue(std::size_t most_waiting = 16) : most_waiting_(most_waiting) {}
  /// Runs what still waits, and ends.
  ~job_queue() = default;
  job_queue(const job_queue&) = delete;
  job_queue& operator=(const job_queue&) = delete;

  /// Takes `job`, which must not throw; returns false where too many wait already.
  bool push(std::function<void()> job) {
    {
      const std::lock_guard lock{mutex_};
      if (waiting_.size() >= most_waiting_) return false;
      waiting_.push_back(std::move(job));
    }
    woken_.notify_one();
    return true;
  }

private:
  void work(const std::stop_token& end) {
    std::unique_lock lock{mutex_};
    while (woken_.wait(lock, end, [this] { return !waiting_.empty(); })) {
      const auto job = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  const std::size_t most_waiting_;
  std::mutex mutex_;
  std::condition_variable_any woken_;
  std::deque<std::function<void()>> waiting_;
  std::jthread thread_{[this](const std::stop_token& end) { work(end); }}; ///< after what it uses
};

} // namespace engram
