#pragma once

#include <atomic>
#include <cstddef>

namespace engram {

/// Counts accepted and unanswered requests and refuses past a limit: the one bound in front of
/// unbounded mailboxes. Thread-safe, lock-free.
class admission_gate {
public:
  enum class verdict { entered, full, closed };

  explicit admission_gate(std::size_t limit) noexcept : limit_(limit) {}

  /// Takes a place; the holder gives it back with `leave`, once.
  verdict enter() noexcept {
    if (closed_.load(std::memory_order_relaxed)) return verdict::closed;
    if (in_flight_.fetch_add(1, std::memory_order_seq_cst) >=
        limit_.load(std::memory_order_relaxed)) {
      leave();
      return verdict::full;
    }
    // `close` may have come between the two: whoever closes then waits for `in_flight` to reach
    // zero must not miss this one.
    if (closed_.load(std::memory_order_seq_cst)) {
      leave();
      return verdict::closed;
    }
    return verdict::entered;
  }

  void leave() noexcept { in_flight_.fetch_sub(1, std::memory_order_acq_rel); }

  /// From now on nobody enters.
  void close() noexcept { closed_.store(true, std::memory_order_seq_cst); }
  bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }

  std::size_t in_flight() const noexcept { return in_flight_.load(std::memory_order_seq_cst); }
  std::size_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
  void set_limit(std::size_t limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }

private:
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<std::size_t> limit_;
  std::atomic<bool> closed_{false};
};

} // namespace engram
