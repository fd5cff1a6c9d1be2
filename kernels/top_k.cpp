#include "engram/kernels/top_k.hpp"

#include <algorithm>

namespace engram {
namespace {

// Nothing ranks before it: what an empty selection (k = 0) compares with.
constexpr hit best_possible{0, std::numeric_limits<float>::infinity()};

} // namespace

top_k::top_k(std::size_t k) : k_(k), worst_(best_possible), full_(k == 0) {}

void top_k::insert(hit candidate) {
  hits_.push_back(candidate);
  // The first cut-back fixes a bound as soon as there are k; after that the buffer gathers k more
  // before the next one, so that an insertion costs a constant number of steps on average.
  if (hits_.size() >= (full_ ? 2 * k_ : k_)) shrink();
}

void top_k::shrink() {
  const auto kth = hits_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
  std::nth_element(hits_.begin(), kth, hits_.end(), ranks_before);
  worst_ = *kth;
  full_ = true;
  hits_.resize(k_);
}

void top_k::merge(const top_k& other) {
  for (const hit& candidate : other.hits_)
    offer(candidate);
}

std::vector<hit> top_k::take_sorted() {
  std::sort(hits_.begin(), hits_.end(), ranks_before);
  if (hits_.size() > k_) hits_.resize(k_);
  std::vector<hit> taken = std::move(hits_);
  *this = top_k(k_);
  return taken;
}

} // namespace engram
