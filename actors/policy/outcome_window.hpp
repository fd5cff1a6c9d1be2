#pragma once

#include <cstddef>
#include <vector>

namespace engram {

/// Remembers whether the last `capacity` outcomes were good. Not thread-safe.
class outcome_window {
public:
  explicit outcome_window(std::size_t capacity);

  void add(bool success);
  void clear() noexcept;
  /// Keeps the newest outcomes that fit.
  void resize(std::size_t capacity);

  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return outcomes_.size(); }
  /// Returns the share of good outcomes, 1 while empty.
  double success_rate() const noexcept;

private:
  std::vector<bool> outcomes_; ///< a ring; `next_` is the oldest once it is full
  std::size_t next_ = 0;
  std::size_t size_ = 0;
  std::size_t good_ = 0;
};

} // namespace engram
