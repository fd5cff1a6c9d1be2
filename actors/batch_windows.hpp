#pragma once

#include "engram/actors/pending_request.hpp"
#include "engram/actors/policy/batch_window.hpp"
#include "engram/base/clock.hpp"
#include "engram/base/ids.hpp"
#include "engram/base/trace.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace engram {

/// A request, or a part of one that was too large for a batch, on its way into a window.
struct window_entry {
  request_ptr request;
  std::size_t first = 0; ///< items [first, first + count) of the request
  std::size_t count = 0;
  time_point run_by; ///< when its batch must leave for the deadline to be met
};

/// A closed window: the batch, and whose each of its items is.
struct batch_order {
  std::shared_ptr<work_batch> batch;
  std::vector<request_ptr> requests; ///< of batch->items, in the same order
  time_point closed;
  time_point earliest_deadline;
};

/// The open windows, one for each batch key (operation, dataset version, dim). Belongs to the
/// pipeline and is lent to the batcher, so that a batcher that dies takes no request with it. Told
/// the time. Not thread-safe.
class batch_windows {
public:
  void set_limits(window_limits limits);

  void add(window_entry entry);

  /// Closes the most urgent window that is due, or, when `everything_is_due`, the most urgent that
  /// is not empty. Takes the most urgent entries of it up to the target size. Requests that were
  /// answered meanwhile are dropped.
  std::optional<batch_order> close(time_point now, bool everything_is_due);

  /// Takes out the requests whose deadline has passed.
  std::vector<request_ptr> take_expired(time_point now);
  /// Takes out everything.
  std::vector<request_ptr> take_all();

  std::size_t waiting() const noexcept { return waiting_; }
  /// Returns when a window closes by itself or a deadline passes; nothing while all are empty.
  std::optional<time_point> due() const;
  /// As above, for the deadlines alone.
  std::optional<time_point> next_deadline() const;

private:
  struct key {
    operation op;
    std::uint64_t dataset;
    std::size_t dim;
    friend auto operator<=>(const key&, const key&) = default;
  };
  struct window {
    explicit window(window_limits limits) : rule(limits) {}
    batch_window rule;
    std::vector<window_entry> heap; ///< the most urgent on top
    async_trace_range open;         ///< "window": from its first entry until it closes or is empty
  };

  window_entry pop(window& from);
  void fill(window& from, batch_order& order);
  void settle(window& w) const;

  window_limits limits_;
  std::map<key, window> windows_;
  std::size_t waiting_ = 0; ///< entries in all windows
};

} // namespace engram
