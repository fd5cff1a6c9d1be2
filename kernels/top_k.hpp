#pragma once

#include "engram/base/ids.hpp"

#include <cstddef>
#include <limits>
#include <vector>

namespace engram {

/// A row and its score, or a node and its activation.
struct hit {
  std::uint32_t id = 0;
  float score = 0.0f;

  friend bool operator==(const hit&, const hit&) = default;
};

/// Returns true if `a` comes before `b`: score descending, then id ascending.
constexpr bool ranks_before(const hit& a, const hit& b) noexcept {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

/// The best k of all hits offered so far, by (score descending, id ascending). The order in which
/// they are offered does not matter; no id may be offered twice.
class top_k {
public:
  explicit top_k(std::size_t k = 0);

  void offer(hit candidate) {
    if (full() && !ranks_before(candidate, worst_)) return;
    insert(candidate);
  }
  /// Offers everything that `other` has kept.
  void merge(const top_k& other);

  std::size_t k() const noexcept { return k_; }
  /// Returns a score such that nothing strictly below it can enter any more; -infinity until k hits
  /// were offered.
  float threshold() const noexcept {
    return full() ? worst_.score : -std::numeric_limits<float>::infinity();
  }
  bool full() const noexcept { return full_; }

  /// Returns the hits kept, best first, and empties this.
  std::vector<hit> take_sorted();

private:
  void insert(hit candidate);
  void shrink();

  std::size_t k_;
  std::vector<hit> hits_; ///< at most 2k + a few; cut back to the best k when it fills
  hit worst_;             ///< a bound: at least k hits rank before it or are it, once full
  bool full_ = false;
};

} // namespace engram
