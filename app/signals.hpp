#pragma once

#include <chrono>
#include <functional>
#include <initializer_list>

namespace engram {

/// From now on these signals wait for `wait_for_signal`, in this thread and those it starts;
/// SIGPIPE is ignored. Call it before any other thread exists.
void hold_signals(std::initializer_list<int> signals);

/// Returns the next of the held signals.
int wait_for_signal();
/// As above, or 0 after `patience`.
int wait_for_signal(std::chrono::milliseconds patience);

/// Runs `work` on a thread of its own to its end, and here meanwhile `on_signal` for each signal
/// that comes and `in_between` many times a second.
void run_watchfully(
    const std::function<void()>& work, const std::function<void(int)>& on_signal,
    const std::function<void()>& in_between = [] {});

} // namespace engram
