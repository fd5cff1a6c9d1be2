#pragma once

/// How batches travel between the pipeline's process and a runner: a segment of shared memory with
/// a slot for each batch in flight, and a doorbell each way.
///
///   slot:  free --(sender writes inputs, submits)--> submitted --(runner takes)--> taken
///          --(runner writes outputs, completes)--> completed --(sender collects)--> free
///
/// A runner that dies leaves its slots behind; the segment is not used again.

#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/host/handles.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace engram {

/// One direction's bell. Who waits looks at `rings` for a while and then says that it sleeps; only
/// then does a ring cost a system call.
class alignas(64) host_bell {
public:
  std::uint32_t rings() const noexcept { return rings_.load(std::memory_order_acquire); }
  void ring(int event) noexcept {
    rings_.fetch_add(1);
    if (sleeping_.load() != 0) signal_event(event);
  }
  /// Call before sleeping on the event. False if it rang since `seen`: look again first.
  bool fall_asleep(std::uint32_t seen) noexcept {
    sleeping_.store(1);
    if (rings_.load() == seen) return true;
    sleeping_.store(0);
    return false;
  }
  void wake_up() noexcept { sleeping_.store(0); }

private:
  std::atomic<std::uint32_t> rings_{0};
  std::atomic<std::uint32_t> sleeping_{0};
};

/// A ring buffer of slot numbers with one reader. Writers take turns by a lock of their own. The
/// other process may have written anything here; what follows is for the reader.
struct host_queue {
  static constexpr std::uint32_t places = 128; ///< more than there are slots
  alignas(64) std::atomic<std::uint32_t> written{0};
  alignas(64) std::atomic<std::uint32_t> read{0};
  std::array<std::uint32_t, places> slot{};

  void push(std::uint32_t number) noexcept;
  /// Returns the next number; nothing if there is none, if it is no slot's or the queue is broken.
  std::optional<std::uint32_t> pop(std::uint32_t slots) noexcept;
  bool empty() const noexcept { return unread() == 0; }
  /// Returns true if more is said to be unread than has a place: that is nothing a writer does.
  bool is_broken() const noexcept { return unread() > places; }

private:
  std::uint32_t unread() const noexcept {
    return written.load(std::memory_order_acquire) - read.load(std::memory_order_relaxed);
  }
};

/// A text in shared memory, cut off where it does not fit.
struct host_text {
  std::array<char, 400> characters{};

  void set(std::string_view text) noexcept;
  std::string get() const;
};

/// What is said of one batch besides its inputs and outputs.
struct host_slot {
  std::uint64_t in_bytes = 0;
  std::uint64_t out_bytes = 0;
  fault_action at_start; ///< trouble that the runner is to make before the batch runs
  fault_action at_end;   ///< and when it has run
  device_times times;
  bool failed = false;
  fault_class fault = fault_class::transient; ///< of what failed
  bool injected = false;
  host_text fault_message;
};

/// The head of the segment; the slots' memory follows.
struct host_segment {
  static constexpr std::uint32_t most_slots = 100;
  host_bell to_runner, to_sender;
  host_queue submitted, completed;
  std::atomic<std::uint32_t> is_lost{0}; ///< the runner ends for `loss`
  host_text loss;
  std::atomic<std::uint64_t> used_bytes{0}; ///< of the runner's device memory
  std::array<host_slot, most_slots> slots;
};

/// One end of a channel. Thread-safe but for what one slot's user does with it.
class host_channel {
public:
  /// What a slot keeps of its memory between batches; only rare batches are larger.
  static constexpr std::size_t kept_bytes = 64u << 20;

  /// `slots` at most host_segment::most_slots, of `slot_bytes` each, which take room as they are
  /// used. The events wake the two sides.
  static result<host_channel> create(std::uint32_t slots, std::size_t slot_bytes,
                                     unique_fd runner_event, unique_fd sender_event);
  /// The other end of one that was created with the same numbers.
  static result<host_channel> join(unique_fd memory, std::uint32_t slots, std::size_t slot_bytes,
                                   unique_fd runner_event, unique_fd sender_event);

  host_segment& head() const noexcept {
    return *reinterpret_cast<host_segment*>(memory_.bytes().data());
  }
  host_slot& slot(std::uint32_t number) const noexcept { return head().slots[number]; }
  std::span<std::byte> payload(std::uint32_t number) const noexcept;
  std::uint32_t slots() const noexcept { return slots_; }

  // -- the sender's side --
  /// Hands a slot over; ring the bell afterwards.
  void submit(std::uint32_t slot) noexcept;
  void ring_runner() noexcept { head().to_runner.ring(runner_event_.get()); }
  std::optional<std::uint32_t> next_completed() noexcept { return head().completed.pop(slots_); }
  /// Gives pages back that only large batches need.
  void trim(std::uint32_t slot) noexcept;

  // -- the runner's side --
  std::optional<std::uint32_t> next_submitted() noexcept;
  void complete(std::uint32_t slot) noexcept;
  /// Says that the runner ends; the first time counts.
  void announce_loss(std::string_view why) noexcept;

  result<unique_fd> share_memory() const { return memory_.share(); }
  const unique_fd& runner_event() const noexcept { return runner_event_; }
  const unique_fd& sender_event() const noexcept { return sender_event_; }
  std::size_t slot_bytes() const noexcept { return slot_bytes_; }

private:
  host_channel(shared_memory memory, std::uint32_t slots, std::size_t slot_bytes,
               unique_fd runner_event, unique_fd sender_event);

  shared_memory memory_;
  unique_fd runner_event_, sender_event_; ///< what wakes each side
  std::uint32_t slots_;
  std::size_t slot_bytes_;
  std::unique_ptr<std::mutex> writing_ = std::make_unique<std::mutex>();
};

} // namespace engram
