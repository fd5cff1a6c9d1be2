#include "engram/service/access/rate_limiter.hpp"

#include <algorithm>

namespace engram {

rate_limiter::bucket& rate_limiter::bucket_of(std::string_view client, time_point now) {
  if (const auto known = by_client_.find(client); known != by_client_.end()) {
    buckets_.splice(buckets_.begin(), buckets_, known->second);
    return buckets_.front();
  }
  if (buckets_.size() >= most_clients_) {
    by_client_.erase(buckets_.back().client);
    buckets_.pop_back();
  }
  buckets_.push_front({std::string{client}, limit_.burst, now});
  by_client_.emplace(buckets_.front().client, buckets_.begin());
  return buckets_.front();
}

std::optional<duration> rate_limiter::take(std::string_view client, time_point now) {
  if (limit_.requests_per_second <= 0) return {};
  auto& mine = bucket_of(client, now);
  const double passed = std::max(0.0, to_seconds(now - mine.filled_at));
  mine.requests = std::min(limit_.burst, mine.requests + passed * limit_.requests_per_second);
  mine.filled_at = now;
  if (mine.requests < 1) return from_seconds((1 - mine.requests) / limit_.requests_per_second);
  mine.requests -= 1;
  return {};
}

} // namespace engram
