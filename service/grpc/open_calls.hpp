#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <list>
#include <mutex>

namespace engram {

/// A call that lasts until its client or the door ends it.
class open_stream_call {
public:
  /// The door closes: take nothing more, answer what was taken, and end. Called once; the call may
  /// be over when it returns.
  virtual void end() = 0;

protected:
  ~open_stream_call() = default;
};

/// The calls that somebody waits for, so that a door that closes knows when nobody does any more.
/// Calls that are answered before their method returns need not be here. Thread-safe.
class open_calls {
public:
  /// Counts a call as long as it lives.
  class counted {
  public:
    explicit counted(open_calls& all) : all_(all) { all_.enter(); }
    ~counted() { all_.leave(); }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

  private:
    open_calls& all_;
  };

  /// Once it is whole. Ends it at once if the door has closed already.
  void add(open_stream_call& call) {
    const std::lock_guard lock{mutex_};
    streams_.push_back({&call, is_ending_});
    ++count_;
    if (is_ending_) call.end();
  }
  /// While it is whole; waits until nobody is about to end it.
  void remove(open_stream_call& call) {
    const std::lock_guard lock{mutex_};
    streams_.remove_if([&](const entry& each) { return each.call == &call; });
    leave();
  }

  /// Ends every stream that is open, and each that is opened from now on.
  void end_streams() {
    // gRPC may finish calls, also others, within `end`: hence the recursive mutex, and every round
    // looks at the list anew.
    const std::lock_guard lock{mutex_};
    is_ending_ = true;
    for (;;) {
      const auto next = std::find_if(streams_.begin(), streams_.end(),
                                     [](const entry& each) { return !each.is_told; });
      if (next == streams_.end()) return;
      next->is_told = true;
      next->call->end();
    }
  }

  /// Waits up to `patience`; returns true if no call is open.
  bool wait_until_none(std::chrono::milliseconds patience) {
    std::unique_lock lock{mutex_};
    return became_none_.wait_for(lock, patience, [this] { return count_ == 0; });
  }

private:
  struct entry {
    open_stream_call* call;
    bool is_told;
  };

  void enter() {
    const std::lock_guard lock{mutex_};
    ++count_;
  }
  void leave() {
    const std::lock_guard lock{mutex_};
    if (--count_ == 0) became_none_.notify_all();
  }

  std::recursive_mutex mutex_;
  std::condition_variable_any became_none_;
  std::list<entry> streams_;
  std::size_t count_ = 0;
  bool is_ending_ = false;
};

} // namespace engram
