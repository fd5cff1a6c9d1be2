#include "engram/app/service_manager.hpp"

#include <systemd/sd-daemon.h>

#include <cstdint>
#include <ctime>

namespace engram {

namespace {

void tell(const std::string& lines) {
  // Nobody may listen any more, and nothing here depends on it.
  static_cast<void>(sd_notify(0, lines.c_str()));
}

/// Returns the clock that systemd compares a reload with.
std::uint64_t monotonic_microseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1'000;
}

} // namespace

service_manager::service_manager() : next_(clock::now()) {
  std::uint64_t limit = 0;
  if (sd_watchdog_enabled(0, &limit) > 0) period_ = std::chrono::microseconds{limit / 2};
}

void service_manager::say(const std::string& status) const {
  tell("STATUS=" + status);
}

void service_manager::say_ready(const std::string& status) const {
  tell("READY=1\nSTATUS=" + status);
}

void service_manager::say_reloading() const {
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_microseconds()) +
       "\nSTATUS=Reading the configuration again");
}

void service_manager::say_stopping(const std::string& status,
                                   std::chrono::milliseconds longest) const {
  tell("STOPPING=1\nSTATUS=" + status +
       "\nEXTEND_TIMEOUT_USEC=" + std::to_string(std::chrono::microseconds{longest}.count()));
}

bool service_manager::is_beat_due() const {
  return period_ && clock::now() >= next_;
}

void service_manager::beat() {
  next_ = clock::now() + *period_;
  tell("WATCHDOG=1");
}

} // namespace engram
