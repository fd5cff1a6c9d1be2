#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace engram {

/// Tells systemd, or whoever else listens at $NOTIFY_SOCKET, how the daemon is; without a listener
/// nothing. Thread-safe but for `beat`.
class service_manager {
public:
  service_manager();

  /// What the daemon does at the moment, one line, while it starts or serves.
  void say(const std::string& status) const;
  void say_ready(const std::string& status) const;
  void say_reloading() const; ///< `say_ready` ends it
  /// The daemon ends, and asks for as long as `longest` to do so.
  void say_stopping(const std::string& status, std::chrono::milliseconds longest) const;

  /// Returns true when it is time to show that the daemon lives: at half of the watchdog's time.
  bool is_beat_due() const;
  void beat();

private:
  using clock = std::chrono::steady_clock;
  std::optional<std::chrono::microseconds> period_; ///< nothing without a watchdog
  clock::time_point next_;
};

} // namespace engram
