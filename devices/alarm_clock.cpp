#include "engram/devices/alarm_clock.hpp"

#include <sys/prctl.h>

#include <utility>

namespace engram {

thread_alarm_clock::thread_alarm_clock() : thread_([this](std::stop_token stop) { serve(stop); }) {}

thread_alarm_clock::~thread_alarm_clock() {
  thread_.request_stop();
  thread_.join();
}

void thread_alarm_clock::call_at(time_point when, std::function<void()> action) {
  bool is_next = false;
  {
    std::lock_guard lock(mutex_);
    is_next = alarms_.empty() || when < alarms_.top().when;
    alarms_.push({when, next_number_++, std::move(action)});
  }
  if (is_next) changed_.notify_one();
}

void thread_alarm_clock::serve(std::stop_token stop) {
  // The kernel may fire a timer late by the thread's slack, 50 us by default, to save power.
  prctl(PR_SET_TIMERSLACK, 1UL);

  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (alarms_.empty()) {
      changed_.wait(lock, stop, [this] { return !alarms_.empty(); });
      continue;
    }
    const auto when = alarms_.top().when;
    if (now() < when) {
      changed_.wait_until(lock, stop, when, [&] { return alarms_.top().when < when; });
      continue;
    }
    // The queue gives only const access to its top, which is about to be popped.
    auto action = std::move(const_cast<alarm&>(alarms_.top()).action);
    alarms_.pop();
    lock.unlock();
    action();
    action = nullptr; // what it captured may ask for this lock when it goes
    lock.lock();
  }
}

} // namespace engram
