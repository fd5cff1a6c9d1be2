#include "engram/app/signals.hpp"

#include <atomic>
#include <csignal>
#include <ctime>
#include <thread>

namespace engram {

namespace {

sigset_t& held() {
  static sigset_t signals;
  return signals;
}

} // namespace

void hold_signals(std::initializer_list<int> signals) {
  sigemptyset(&held());
  for (const int signal : signals)
    sigaddset(&held(), signal);
  pthread_sigmask(SIG_BLOCK, &held(), nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int wait_for_signal() {
  int signal = 0;
  sigwait(&held(), &signal);
  return signal;
}

int wait_for_signal(std::chrono::milliseconds patience) {
  const timespec time{patience.count() / 1000, patience.count() % 1000 * 1'000'000};
  const int signal = sigtimedwait(&held(), nullptr, &time);
  return signal > 0 ? signal : 0;
}

void run_watchfully(const std::function<void()>& work, const std::function<void(int)>& on_signal,
                    const std::function<void()>& in_between) {
  std::atomic<bool> done{false};
  const std::jthread worker{[&] {
    work();
    done = true;
  }};
  while (!done) {
    if (const int signal = wait_for_signal(std::chrono::milliseconds{20})) on_signal(signal);
    in_between();
  }
}

} // namespace engram
