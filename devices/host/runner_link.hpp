#pragma once

#include "engram/base/clock.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/host/channel.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace engram {

/// A batch that a runner is to run, and the trouble that was ordered with it.
struct host_job {
  work_batch_ptr batch;
  run_done done;
  time_point begun{};
  fault_action at_start, at_end;
  bool ring_is_lost = false; ///< its doorbell is not rung
};

/// The batches that one runner has, by slot. Whatever becomes of the runner, each comes out of here
/// exactly once. Thread-safe.
class runner_link {
public:
  explicit runner_link(host_channel channel);

  enum class verdict { sent, full, too_large, closed };
  /// Gives `job` to the runner. Unless it was sent, `job` is as before.
  verdict send(host_job& job);

  struct ended {
    host_job job;
    run_outcome outcome;
  };
  /// Returns the next batch that the runner has ended; nothing if there is none.
  std::optional<ended> next_ended();

  /// Takes no batch any more and returns those that have not ended.
  std::vector<host_job> close();

  struct load {
    std::optional<time_point> oldest; ///< since when the oldest batch is there; nothing without one
    duration predicted{};             ///< of all batches; zero if one's is not known
  };
  load what_it_has() const;
  /// Returns true if it takes no batch until one ends.
  bool is_full() const;
  bool is_lost() const noexcept { return channel_.head().is_lost.load() != 0; }
  /// Returns true if the runner has written nonsense where it says what it has ended.
  bool is_broken() const noexcept { return channel_.head().completed.is_broken(); }
  std::string loss() const { return channel_.head().loss.get(); }
  /// Returns true if there is something that was not taken yet.
  bool has_news() const noexcept { return !channel_.head().completed.empty() || is_lost(); }
  /// Returns a number that changes when the runner has something to say.
  std::uint32_t rings() const noexcept { return channel_.head().to_sender.rings(); }
  host_channel& channel() noexcept { return channel_; }

private:
  run_outcome outcome_of(std::uint32_t slot, const work_batch& batch) const;

  host_channel channel_;
  mutable std::mutex mutex_;
  std::vector<std::optional<host_job>> jobs_; ///< by slot
  std::vector<std::uint32_t> free_;
  bool closed_ = false;
};

} // namespace engram
