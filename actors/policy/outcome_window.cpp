#include "engram/actors/policy/outcome_window.hpp"

#include <algorithm>

namespace engram {

outcome_window::outcome_window(std::size_t capacity)
    : outcomes_(std::max<std::size_t>(capacity, 1)) {}

void outcome_window::add(bool success) {
  if (size_ == outcomes_.size())
    good_ -= outcomes_[next_] ? 1 : 0;
  else
    ++size_;
  outcomes_[next_] = success;
  good_ += success ? 1 : 0;
  next_ = (next_ + 1) % outcomes_.size();
}

void outcome_window::clear() noexcept {
  next_ = 0;
  size_ = 0;
  good_ = 0;
}

void outcome_window::resize(std::size_t capacity) {
  if (capacity == outcomes_.size()) return;
  outcome_window smaller{capacity};
  const auto oldest = (next_ + outcomes_.size() - size_) % outcomes_.size();
  for (std::size_t i = 0; i < size_; ++i)
    smaller.add(outcomes_[(oldest + i) % outcomes_.size()]);
  *this = std::move(smaller);
}

double outcome_window::success_rate() const noexcept {
  return size_ == 0 ? 1.0 : static_cast<double>(good_) / static_cast<double>(size_);
}

} // namespace engram
