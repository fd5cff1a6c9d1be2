#pragma once

#include "engram/replay/schedule.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace engram::replay {

/// What is remembered of a request from its sending to the end of the replay. Times are nanoseconds
/// from the start of the warm-up.
struct sent_request {
  std::int64_t scheduled_ns = 0;
  std::int64_t sent_ns = 0; ///< when it really went
  std::uint64_t number = 0; ///< from 0, in the order of sending
  std::uint32_t load = 0;
  std::uint32_t variant = 0;
  bool sampled = false;                  ///< its answer is compared with the reference
  std::atomic<std::uint32_t> answers{0}; ///< times that its callback was called
};

/// Every request that was sent, in order. One thread adds, any thread reads what is published;
/// entries stay where they are.
class send_log {
public:
  static constexpr std::size_t chunk_size = 65'536;
  static constexpr std::size_t capacity =
      static_cast<std::size_t>(max_planned_requests) + 64 * chunk_size;

  /// Takes the memory for `requests` now, so that none has to be taken while they are sent.
  void reserve(std::size_t requests) {
    for (std::size_t at = 0; at < std::min(requests, capacity); at += chunk_size)
      if (auto& chunk = chunks_[at / chunk_size]; !chunk) chunk = std::make_unique<chunk_type>();
  }
  /// Returns the place for the next request, or nullptr when the log is full. It counts once
  /// `publish` was called.
  sent_request* next() {
    const auto at = size_.load(std::memory_order_relaxed);
    if (at >= capacity) return nullptr;
    auto& chunk = chunks_[at / chunk_size];
    if (!chunk) chunk = std::make_unique<chunk_type>();
    return &(*chunk)[at % chunk_size];
  }
  void publish() { size_.fetch_add(1, std::memory_order_release); }

  std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  const sent_request& operator[](std::size_t i) const {
    return (*chunks_[i / chunk_size])[i % chunk_size];
  }

private:
  using chunk_type = std::array<sent_request, chunk_size>;
  std::array<std::unique_ptr<chunk_type>, capacity / chunk_size + 1> chunks_;
  std::atomic<std::size_t> size_{0};
};

} // namespace engram::replay
