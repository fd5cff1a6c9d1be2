#pragma once

#include "engram/base/clock.hpp"

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace engram {

struct rate_limit {
  double requests_per_second = 0; ///< in the long run; 0: any number
  double burst = 1;               ///< at once, at least 1

  friend bool operator==(const rate_limit&, const rate_limit&) = default;
};

/// Gives each client a bucket of `burst` requests that fills at the limit's rate. No threads, no
/// clock. The clients that were not heard of for longest are forgotten when there are too many; one
/// that comes back has a full bucket.
class rate_limiter {
public:
  explicit rate_limiter(std::size_t most_clients = 10'000) : most_clients_(most_clients) {}

  /// Buckets keep what they hold, up to the new burst.
  void set_limit(const rate_limit& limit) { limit_ = limit; }
  const rate_limit& limit() const noexcept { return limit_; }

  /// Takes one request of `client` out of its bucket and returns nothing; or takes nothing and
  /// returns how long to wait until there is one.
  std::optional<duration> take(std::string_view client, time_point now);

  std::size_t clients() const noexcept { return buckets_.size(); }

private:
  struct bucket {
    std::string client;
    double requests = 0;
    time_point filled_at;
  };
  bucket& bucket_of(std::string_view client, time_point now);

  rate_limit limit_;
  std::size_t most_clients_;
  std::list<bucket> buckets_; ///< the one heard of last comes first
  std::unordered_map<std::string_view, std::list<bucket>::iterator> by_client_;
};

} // namespace engram
