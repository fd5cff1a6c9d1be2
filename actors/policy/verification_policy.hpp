#pragma once

#include "engram/base/clock.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace engram {

struct verification_limits {
  double check_share = 0.001;                         ///< of the batches that a GPU answered
  duration canary_interval = std::chrono::seconds{1}; ///< 0: never
};

/// Decides which answers of a GPU the CPU checks, and when an idle GPU is given a batch whose
/// answer is known. By device; 0 is the CPU and never asked about. Told the time.
class verification_policy {
public:
  verification_policy(std::size_t devices, time_point now);
  void set_limits(verification_limits limits);

  /// `device` answered a batch: returns true if this one is to be checked. The share is a debt that
  /// grows with every answer, so that the same answers are always the ones checked; while there is
  /// no `room` for another check it is owed, and later answers pay for it.
  bool on_answer(std::size_t device, bool room);
  /// A check came to nothing; another one takes its place.
  void on_unfinished_check(std::size_t device);

  /// `device` was given a run, or ended one: it is not idle.
  void on_run(std::size_t device, time_point now);
  /// Returns true once `device` has been idle for the interval.
  bool is_canary_due(std::size_t device, time_point now) const;
  /// The canary that is due cannot be run now: it is due again a little later.
  void postpone_canary(std::size_t device, time_point now);
  /// Returns when the next canary is due; nothing if none ever is.
  std::optional<time_point> next_canary() const;

private:
  bool has_canaries() const noexcept { return limits_.canary_interval > duration::zero(); }

  struct of_device {
    double debt = 0; ///< checks owed
    time_point idle_since;
    time_point canary_due;
  };
  verification_limits limits_;
  std::vector<of_device> devices_;
};

} // namespace engram
