#include "engram/base/restart_policy.hpp"

#include <algorithm>

namespace engram {

std::optional<duration> restart_policy::on_death(time_point now) {
  while (!deaths_.empty() && now - deaths_.front() > limits_.period)
    deaths_.pop_front();
  deaths_.push_back(now);
  if (deaths_.size() > limits_.intensity) return std::nullopt;
  auto wait = duration::zero();
  for (std::size_t i = 1; i < deaths_.size(); ++i)
    wait = i == 1 ? limits_.backoff : std::min(wait * 2, limits_.max_backoff);
  return std::min(wait, limits_.max_backoff);
}

} // namespace engram
