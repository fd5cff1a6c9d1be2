#pragma once

#include "engram/base/clock.hpp"

#include <cstdint>
#include <deque>
#include <optional>

namespace engram {

struct restart_limits {
  std::uint32_t intensity = 10; ///< restarts within `period` before giving up
  duration period = std::chrono::seconds{10};
  duration backoff =
      std::chrono::milliseconds{1}; ///< before the second restart within `period`; doubles
  duration max_backoff = std::chrono::seconds{1};
};

/// Decides whether and when a dead actor is started again (one_for_one, as in OTP). A death with no
/// other in the `period` before it is answered at once; each further one doubles the wait. Told the
/// time.
class restart_policy {
public:
  explicit restart_policy(restart_limits limits) : limits_(limits) {}

  /// The actor died: returns how long to wait before the restart; nothing to give up.
  std::optional<duration> on_death(time_point now);
  void set_limits(restart_limits limits) { limits_ = limits; }

private:
  restart_limits limits_;
  std::deque<time_point> deaths_; ///< within the last period
};

} // namespace engram
