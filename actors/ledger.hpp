#pragma once

#include "engram/actors/answer.hpp"
#include "engram/actors/batch_windows.hpp"
#include "engram/base/clock.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace engram {

/// Number of one dispatch of a batch to a device, unique in its pipeline.
using run_id = std::uint64_t;

/// Tells those who hold it that a batch was struck. Set by the ledger, read on any thread.
using strike_flag = std::shared_ptr<std::atomic<bool>>;

/// What a run is for.
enum class run_kind : std::uint8_t {
  primary, ///< its outputs answer requests
  shadow,  ///< a copy of a batch that another device has answered, to compare and to learn from
};

/// One dispatch of a batch to a device.
struct device_run {
  run_kind kind = run_kind::primary;
  std::size_t device = 0;
  std::uint64_t incarnation = 0; ///< of the worker that it was given to
  work_batch_ptr batch;
  time_point dispatched;
  time_point limit; ///< past it the run is late
  double predicted_seconds = 0;
  bool late = false;             ///< the limit has passed and was reported
  std::size_t other_device = 0;  ///< shadow: who answered first
  time_point other_dispatched{}; ///< shadow: when the other one was given the batch
  std::size_t late_gpu = 0; ///< primary, once its batch is hedged: the GPU that was late; 0: none
  std::shared_ptr<const std::vector<item_output>>
      expected; ///< shadow: what the other device answered
};

/// A batch that was accepted from the batcher and is not answered yet.
struct ledger_entry {
  batch_order order;
  route_reason reason = route_reason::no_gpu; ///< why it went where it went first
  std::uint32_t attempts = 0;                 ///< primary runs so far
  std::uint32_t running = 0;                  ///< primary runs that have not ended and are not late
  bool queued = false;                        ///< it is in `waiting`
  std::uint32_t cpu_failures = 0;             ///< runs that the CPU failed; a lost worker is none
  bool split = false;                         ///< a half of a batch that ran out of memory
  bool fell_back = false;
  std::string cause; ///< what the first device did wrong
  /// The GPU that took longer than its limit, so that the CPU was given the batch as well; 0: none.
  std::size_t late_gpu = 0;
  strike_flag struck; ///< true once it is struck: runs that have not begun need not begin
};

/// The batches in flight and their runs. Belongs to the pipeline and is lent to the router, so that
/// a router that dies takes nothing with it. Not thread-safe but for `outstanding`.
class in_flight_ledger {
public:
  /// Enters a batch and numbers it.
  ledger_entry& enter(batch_order order);
  /// Returns the entry, or nullptr once it is struck.
  ledger_entry* find(batch_id batch);
  void strike(batch_id batch);

  run_id start(device_run run);
  device_run* find_run(run_id run);
  void end_run(run_id run);

  /// Returns the runs that a device has not ended.
  std::size_t runs_on(std::size_t device) const;
  /// Returns the predicted seconds of these runs.
  double queued_seconds(std::size_t device) const;

  std::unordered_map<batch_id, ledger_entry>& entries() noexcept { return entries_; }
  std::unordered_map<run_id, device_run>& runs() noexcept { return runs_; }
  /// Batches that wait for a device to have room, oldest first.
  std::deque<batch_id>& waiting() noexcept { return waiting_; }

  /// Returns the number of entries. Thread-safe.
  std::size_t outstanding() const noexcept { return outstanding_.load(); }

private:
  struct load {
    std::size_t runs = 0;
    double seconds = 0;
  };
  std::unordered_map<batch_id, ledger_entry> entries_;
  std::unordered_map<run_id, device_run> runs_;
  std::deque<batch_id> waiting_;
  std::vector<load> load_; ///< by device
  batch_id last_batch_ = 0;
  run_id last_run_ = 0;
  std::atomic<std::size_t> outstanding_{0};
};

} // namespace engram
