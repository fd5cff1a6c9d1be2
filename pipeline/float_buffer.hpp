#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace engram {

/// Numbers of a request: its own, or somebody else's that it keeps alive. What came over a wire
/// stays where it was read to until the batch is computed.
class float_buffer {
public:
  float_buffer() = default;
  float_buffer(std::vector<float> numbers) : own_(std::move(numbers)) {}
  float_buffer(std::initializer_list<float> numbers) : own_(numbers) {}
  /// Refers to `numbers` without a copy. `owner` keeps them where they are, and unchanged, until
  /// the request is answered and its batch is gone.
  static float_buffer lent(std::span<const float> numbers, std::shared_ptr<const void> owner) {
    float_buffer out;
    out.lent_ = numbers;
    out.owner_ = std::move(owner);
    return out;
  }

  std::span<const float> view() const noexcept { return owner_ ? lent_ : std::span{own_}; }
  std::size_t size() const noexcept { return view().size(); }
  bool empty() const noexcept { return view().empty(); }
  bool is_lent() const noexcept { return owner_ != nullptr; }
  const std::shared_ptr<const void>& owner() const noexcept { return owner_; }
  /// Returns the numbers as a vector: the own one, moved, or a copy of the lent ones.
  std::vector<float> take() && {
    return owner_ ? std::vector<float>(lent_.begin(), lent_.end()) : std::move(own_);
  }
  /// The same numbers, wherever they are.
  friend bool operator==(const float_buffer& a, const float_buffer& b) noexcept {
    return std::ranges::equal(a.view(), b.view());
  }

private:
  std::vector<float> own_;
  std::span<const float> lent_;
  std::shared_ptr<const void> owner_; ///< null: the numbers are in `own_`
};

} // namespace engram
