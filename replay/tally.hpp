#pragma once

#include "engram/replay/inbox.hpp"
#include "engram/replay/report.hpp"
#include "engram/replay/send_log.hpp"

#include <cstdint>

namespace engram::replay {

/// Counts what was sent and what came back. Knows no threads and no clock: times come with what it
/// is told, in nanoseconds from the start of the warm-up.
class tally {
public:
  /// Counts into `into`, which it prepares for `what` and which outlives it.
  tally(const scenario& what, report& into);

  void sent(const sent_request& request);
  /// Takes an outcome; the output of one that is to be verified stays with the caller.
  void answered(const outcome& what);
  /// Counts a request of the plan that was not sent.
  void unsent(const planned_send& request);

  std::uint64_t outstanding() const noexcept { return outstanding_; }
  /// Returns the slice at a time, made if it is not there yet; the last possible one for any later
  /// time.
  time_slice& slice_at(std::int64_t ns);

private:
  bool is_measured(std::int64_t scheduled_ns) const noexcept { return scheduled_ns >= warm_up_ns_; }
  void add_to(load_result& result, const outcome& what, std::uint64_t response,
              std::uint64_t service);
  void add_result(const outcome& what);
  void add_error(const outcome& what);

  report& report_;
  std::int64_t warm_up_ns_;
  std::int64_t end_ns_;
  std::int64_t slice_ns_;
  std::int64_t late_ns_; ///< a request that is sent later than this is late
  std::uint64_t outstanding_ = 0;
};

} // namespace engram::replay
