#pragma once

#include "engram/base/clock.hpp"
#include "engram/service/http/connection_watch.hpp"

#include <array>
#include <cstdint>
#include <streambuf>

struct mg_connection;

namespace engram {

/// The body of the request on a connection, as a stream that ends where the body ends, at a limit
/// of bytes or of time, or where the connection broke.
class http_body final : public std::streambuf {
public:
  http_body(mg_connection* connection, connection_watch::serving& served, std::uint64_t limit,
            const clock_source& clock, duration patience)
      : connection_(connection), served_(served), limit_(limit), clock_(clock),
        due_(clock.now() + patience) {}

  /// The body has more bytes than the limit.
  bool is_too_large() const noexcept { return too_large_; }
  /// All of it was read.
  bool is_finished() const noexcept { return finished_; }
  /// The client went silent or hung up, or the chunks make no sense.
  bool is_broken() const noexcept { return broken_; }

protected:
  int_type underflow() override;

private:
  mg_connection* connection_;
  connection_watch::serving& served_;
  std::uint64_t limit_;
  const clock_source& clock_;
  time_point due_;
  std::uint64_t read_ = 0;
  bool too_large_ = false;
  bool broken_ = false;
  bool finished_ = false;
  std::array<char, 16'384> buffer_;
};

/// Reads and drops what the client still sends, for as long as `patience`. Closing a connection
/// with unread data resets it, and the reset can overtake the answer that says why.
void drop_rest_of_body(mg_connection* connection, connection_watch::serving& served,
                       const clock_source& clock, duration patience);

} // namespace engram
