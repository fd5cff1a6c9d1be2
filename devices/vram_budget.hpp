#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace engram {

/// What may be used of a GPU's memory, kept by reservation: nobody asks the driver what is free at
/// the moment of use, when the answer would already be old. Thread-safe.
class vram_budget {
public:
  /// Driver allocations come in pieces of this size.
  static constexpr std::uint64_t piece_bytes = 2u << 20;

  explicit vram_budget(std::uint64_t total_bytes) noexcept : total_(total_bytes) {}

  /// A share of the budget, given back with the object.
  class reservation {
  public:
    reservation() = default;
    reservation(reservation&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    reservation& operator=(reservation&& other) noexcept {
      std::swap(owner_, other.owner_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~reservation() {
      if (owner_) owner_->give_back(bytes_);
    }
    std::uint64_t bytes() const noexcept { return bytes_; }

  private:
    friend class vram_budget;
    reservation(vram_budget& owner, std::uint64_t bytes) noexcept : owner_(&owner), bytes_(bytes) {}
    vram_budget* owner_ = nullptr;
    std::uint64_t bytes_ = 0;
  };

  /// Reserves `bytes`, rounded up to whole pieces; nothing if they do not fit.
  std::optional<reservation> reserve(std::uint64_t bytes) {
    const auto whole = rounded(bytes);
    const std::lock_guard lock(mutex_);
    if (whole > total_ - used_) return std::nullopt;
    used_ += whole;
    return reservation{*this, whole};
  }

  /// Returns a share of `bytes`, or of all that is left where they do not fit.
  reservation reserve_at_most(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto most = std::min(rounded(bytes), total_ - used_);
    used_ += most;
    return reservation{*this, most};
  }

  static constexpr std::uint64_t rounded(std::uint64_t bytes) noexcept {
    return (bytes + piece_bytes - 1) / piece_bytes * piece_bytes;
  }

  std::uint64_t total() const noexcept { return total_; }
  std::uint64_t used() const noexcept {
    const std::lock_guard lock(mutex_);
    return used_;
  }

private:
  void give_back(std::uint64_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    used_ -= bytes;
  }

  const std::uint64_t total_;
  mutable std::mutex mutex_;
  std::uint64_t used_ = 0;
};

} // namespace engram
