#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace engram::testing {

struct http_response {
  int status = 0; ///< 0: the connection ended before an answer
  std::string head;
  std::string body;

  bool has_header(std::string_view line) const { return head.find(line) != std::string::npos; }
};

/// A connection to 127.0.0.1 that sends exactly the bytes it is given; from another loopback
/// address if one is named, as another client would. With small packets, as on a network, the
/// system holds little of what was sent and not received; on the loopback it would be megabytes.
class http_connection {
public:
  explicit http_connection(std::uint16_t port, const char* from = nullptr, int packet_bytes = 0)
      : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (packet_bytes > 0) {
      const int held_bytes = 16 * packet_bytes;
      setsockopt(fd_, IPPROTO_TCP, TCP_MAXSEG, &packet_bytes, sizeof packet_bytes);
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &held_bytes, sizeof held_bytes);
    }
    sockaddr_in here{};
    here.sin_family = AF_INET;
    if (from && inet_pton(AF_INET, from, &here.sin_addr) == 1)
      static_cast<void>(bind(fd_, reinterpret_cast<const sockaddr*>(&here), sizeof here));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~http_connection() { close(fd_); }
  http_connection(const http_connection&) = delete;
  http_connection& operator=(const http_connection&) = delete;

  bool connected() const { return connected_; }

  /// Returns false when the other side does not take any more.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  /// Returns true if something can be read already.
  bool has_answer() const {
    char byte = 0;
    return recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
  }

  /// Returns true if something can be read already, or never will be.
  bool has_answer_or_end() const {
    char byte = 0;
    return recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
  }

  http_response receive() {
    http_response out;
    auto end = std::string::npos;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos)
      if (!fill()) return out;
    out.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    out.status = std::atoi(out.head.c_str() + out.head.find(' '));
    if (out.status == 100) return receive();
    const auto at = out.head.find("\r\nContent-Length: ");
    const std::size_t length =
        at == std::string::npos ? 0 : std::strtoull(out.head.c_str() + at + 18, nullptr, 10);
    while (buffer_.size() < length && fill()) {
    }
    out.body = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return out;
  }

  /// Receives what there is, at most `most` bytes; returns how many, 0 at the end.
  std::size_t receive_some(std::size_t most) {
    std::string bytes(most, '\0');
    const auto count = recv(fd_, bytes.data(), most, 0);
    return count > 0 ? static_cast<std::size_t>(count) : 0;
  }

  /// Returns what comes before `mark`; all that comes if it never does.
  std::string receive_until(std::string_view mark) {
    auto end = std::string::npos;
    while ((end = buffer_.find(mark)) == std::string::npos)
      if (!fill()) return std::exchange(buffer_, {});
    std::string out = buffer_.substr(0, end);
    buffer_.erase(0, end + mark.size());
    return out;
  }

private:
  bool fill() {
    char bytes[16'384];
    const auto count = recv(fd_, bytes, sizeof bytes, 0);
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  int fd_;
  bool connected_ = false;
  std::string buffer_;
};

inline http_response talk(std::uint16_t port, std::string_view bytes) {
  http_connection connection{port};
  connection.send(bytes);
  return connection.receive();
}

inline http_response get(std::uint16_t port, std::string_view path) {
  return talk(port, "GET " + std::string{path} +
                        " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
}

inline std::string request_text(std::string_view method, std::string_view path,
                                std::string_view body) {
  return std::string{method} + ' ' + std::string{path} +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string{body};
}

inline std::string post_text(std::string_view path, std::string_view body) {
  return request_text("POST", path, body);
}

inline http_response post(std::uint16_t port, std::string_view path, std::string_view body) {
  return talk(port, post_text(path, body));
}

} // namespace engram::testing
