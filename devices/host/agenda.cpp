#include "engram/devices/host/agenda.hpp"

#include <utility>

namespace engram {

void host_agenda::at(time_point when, std::function<void()> action) {
  {
    const std::lock_guard lock(mutex_);
    later_.emplace(when, std::move(action));
  }
  calls_.fetch_add(1);
  wake_thread();
}

std::vector<std::function<void()>> host_agenda::take_due(time_point now) {
  std::vector<std::function<void()>> due;
  const std::lock_guard lock(mutex_);
  const auto end = later_.upper_bound(now);
  for (auto each = later_.begin(); each != end; ++each)
    due.push_back(std::move(each->second));
  later_.erase(later_.begin(), end);
  return due;
}

std::optional<time_point> host_agenda::next() const {
  const std::lock_guard lock(mutex_);
  return later_.empty() ? std::nullopt : std::optional{later_.begin()->first};
}

} // namespace engram
