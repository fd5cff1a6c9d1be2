#pragma once

#include "engram/actors/answer.hpp"
#include "engram/actors/policy/outcome_window.hpp"
#include "engram/base/clock.hpp"

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace engram {

struct breaker_limits {
  double success_rate_threshold = 0.95;
  std::size_t window = 100;
  duration cool_down = std::chrono::seconds{1};
  duration max_cool_down = std::chrono::seconds{60};
  double jitter = 0.1;
  duration half_open_timeout = std::chrono::seconds{5};
  std::uint32_t probes_to_close = 5;
};

/// Decides whether a GPU is used.
///
///   closed ----(success rate below the threshold, or a fatal fault)----> open
///   open ------(cool-down over; it doubles with every failed return)---> half_open
///   open ------(the device was replaced by a healthy one)--------------> half_open
///   half_open -(probes_to_close good probes in a row)------------------> closed, window emptied
///   half_open -(one bad probe, a fatal fault, or half_open_timeout)----> open
///
/// The cool-down doubles with every opening, and starts over once the device has stayed closed for
/// as long as the next one would last: a device that fails, returns and fails again is left alone
/// for longer and longer.
///
/// No state waits for an event that may never come: open and half_open each have a timer, and
/// closed is the state of rest. The one exception is wanted: what an operator holds open stays so.
/// Told the time; no clock, no threads.
class breaker {
public:
  breaker(breaker_limits limits, std::uint64_t seed);

  /// A batch ended on the device. Ignored unless closed: what was dispatched before the breaker
  /// opened says nothing about the device's return.
  void on_outcome(bool success, time_point now, const std::string& cause);
  /// The device is lost or hung: opens at once.
  void on_fatal(time_point now, const std::string& cause);
  /// The device was lost and is whole again: an open breaker lets it prove itself at once.
  void on_restored(time_point now, const std::string& cause);
  /// A shadow run ended, right (same answer as the CPU, in time) or not. Ignored unless half_open.
  void on_probe(bool good, time_point now, const std::string& cause);
  /// Call at or after `timer()`.
  void on_timer(time_point now);
  /// Takes an operator's word, which holds until the next one.
  ///   open       opens at once and stays so, without a timer
  ///   closed     whoever is open proves itself at once; from then on no success rate opens it. It
  ///              is no cure: a fatal fault and a bad probe open it as ever
  ///   automatic  what was held open proves itself first
  void set_override(breaker_override what, time_point now);
  /// Takes new limits; a running timer keeps its time.
  void set_limits(breaker_limits limits);

  breaker_state state() const noexcept { return state_; }
  breaker_override overridden() const noexcept { return override_; }
  double success_rate() const noexcept { return window_.success_rate(); }
  /// Returns when the device last began to prove itself: what was dispatched before says nothing
  /// about it now.
  time_point proving_since() const noexcept { return proving_since_; }
  /// Returns when the state changes by itself; nothing while closed or held open.
  std::optional<time_point> timer() const noexcept { return timer_; }

  struct transition {
    breaker_state from;
    breaker_state to;
    time_point when;
    std::string cause;
  };
  /// Returns the changes since the last call, oldest first.
  std::vector<transition> take_transitions();

private:
  void open(time_point now, const std::string& cause);
  void half_open(time_point now, const std::string& cause);
  void move_to(breaker_state to, time_point now, const std::string& cause);

  breaker_limits limits_;
  outcome_window window_;
  std::mt19937_64 random_;
  breaker_state state_ = breaker_state::closed;
  breaker_override override_ = breaker_override::automatic;
  std::optional<time_point> timer_;
  time_point proving_since_{};
  time_point closed_since_{};
  duration next_cool_down_;
  std::uint32_t good_probes_ = 0;
  std::vector<transition> transitions_;
};

} // namespace engram
