#include "engram/service/http/http_body.hpp"

#include <civetweb.h>

#include <array>

namespace engram {

namespace {

/// As `mg_read`, but the client has no longer than the connection watch allows.
int read_in_time(mg_connection* connection, connection_watch::serving& served, void* to,
                 std::size_t size) {
  const connection_watch::waiting limited{served, connection_watch::waiting::direction::sending};
  return mg_read(connection, to, size);
}

} // namespace

http_body::int_type http_body::underflow() {
  if (too_large_ || broken_ || finished_) return traits_type::eof();
  const int count = read_in_time(connection_, served_, buffer_.data(), buffer_.size());
  broken_ = count < 0 || clock_.now() > due_;
  finished_ = count == 0 && !broken_;
  if (count <= 0 || broken_) return traits_type::eof();
  read_ += static_cast<std::uint64_t>(count);
  too_large_ = read_ > limit_;
  if (too_large_) return traits_type::eof();
  setg(buffer_.data(), buffer_.data(), buffer_.data() + count);
  return traits_type::to_int_type(*gptr());
}

void drop_rest_of_body(mg_connection* connection, connection_watch::serving& served,
                       const clock_source& clock, duration patience) {
  std::array<char, std::size_t{16} * 1024> buffer;
  const time_point due = clock.now() + patience;
  while (read_in_time(connection, served, buffer.data(), buffer.size()) > 0 && clock.now() < due) {
  }
}

} // namespace engram
