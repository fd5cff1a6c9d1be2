#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace engram {

/// Where one stage leaves work for the next. It belongs to the pipeline and outlives both, so that
/// nothing is lost when either dies: mailboxes carry only the doorbell. Whoever drains it takes all
/// there is in one go. Thread-safe.
template <class T>
class handoff {
public:
  /// Leaves `work` and rings, if nothing was waiting before.
  void push(T work) {
    const std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(work));
    if (waiting_.size() == 1) ring();
  }
  /// Leaves all of `work`, empties it, and rings once.
  void push_all(std::vector<T>& work) {
    if (work.empty()) return;
    const std::lock_guard lock{mutex_};
    const bool was_empty = waiting_.empty();
    if (was_empty) {
      waiting_.swap(work);
    } else {
      waiting_.insert(waiting_.end(), std::make_move_iterator(work.begin()),
                      std::make_move_iterator(work.end()));
    }
    work.clear();
    if (was_empty) ring();
  }
  /// Moves everything that waits into `out`, replacing what was there.
  void take(std::vector<T>& out) {
    out.clear();
    const std::lock_guard lock{mutex_};
    waiting_.swap(out);
  }
  /// From now on `doorbell` is rung; at once if something waits. It must not block, throw or come
  /// back here.
  void attach(std::function<void()> doorbell) {
    const std::lock_guard lock{mutex_};
    doorbell_ = std::move(doorbell);
    if (!waiting_.empty()) ring();
  }
  /// Once it has returned, the doorbell is not rung any more.
  void detach() {
    const std::lock_guard lock{mutex_};
    doorbell_ = nullptr;
  }
  std::size_t size() const {
    const std::lock_guard lock{mutex_};
    return waiting_.size();
  }

private:
  void ring() {
    if (doorbell_) doorbell_();
  }

  mutable std::mutex mutex_;
  std::vector<T> waiting_;
  std::function<void()> doorbell_;
};

} // namespace engram
