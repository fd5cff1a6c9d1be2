#pragma once

#include <cstddef>

namespace engram::cuda {

/// Hands out pieces of a workspace at 256-byte boundaries. With a null base it only measures, and
/// the pieces are null.
class carver {
public:
  explicit carver(void* base) noexcept : base_(static_cast<std::byte*>(base)) {}

  template <class T>
  T* take(std::size_t count) noexcept {
    constexpr std::size_t alignment = 256;
    const auto at = used_;
    used_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  std::size_t used() const noexcept { return used_; }

private:
  std::byte* base_;
  std::size_t used_ = 0;
};

} // namespace engram::cuda
