#pragma once

/// File descriptors and shared memory as values.

#include "engram/base/error.hpp"

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace engram {

/// A file descriptor, closed with its owner.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) noexcept : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd();

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  /// Returns another descriptor of the same thing.
  result<unique_fd> duplicate() const;

private:
  int fd_ = -1;
};

/// Returns an event counter for `poll`. `unavailable` with the system's reason.
result<unique_fd> make_event();
/// Makes the event readable.
void signal_event(int event) noexcept;
/// Makes it unreadable again.
void clear_event(int event) noexcept;

/// Memory without a name that several processes map; the system frees it with the last of them,
/// however they end. Pages take room once they are written to.
class shared_memory {
public:
  shared_memory() = default;
  /// Makes zeroed memory; `label` is what /proc shows. `resource_exhausted` with the system's
  /// reason.
  static result<shared_memory> create(std::string_view label, std::size_t bytes);
  /// Maps what another process has made, all of it.
  static result<shared_memory> map(unique_fd memory, bool writable);

  shared_memory(shared_memory&& other) noexcept
      : fd_(std::move(other.fd_)), at_(std::exchange(other.at_, {})) {}
  shared_memory& operator=(shared_memory&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(at_, other.at_);
    return *this;
  }
  ~shared_memory();

  /// Returns a descriptor for another process.
  result<unique_fd> share() const { return fd_.duplicate(); }
  int fd() const noexcept { return fd_.get(); }
  std::span<std::byte> bytes() const noexcept { return at_; }
  /// Gives the pages of [first, first + count) back; they read as zero afterwards.
  void drop_pages(std::size_t first, std::size_t count) noexcept;

private:
  unique_fd fd_;
  std::span<std::byte> at_;
};

} // namespace engram
