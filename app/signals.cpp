#include "engram/app/signals.hpp"

#include <csignal>
#include <ctime>

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

} // namespace engram
