#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace engram {

/// Names requests. Thread-safe.
class request_ids {
public:
  static constexpr std::size_t max_length = 128;

  request_ids();
  /// Returns the client's own name for a request if it is 1 to max_length letters, digits and
  /// "-_.:/+=@"; else one that no other request has.
  std::string accept(std::string_view wish);

private:
  const std::string prefix_; ///< differs from start to start
  std::atomic<std::uint64_t> count_{0};
};

} // namespace engram
