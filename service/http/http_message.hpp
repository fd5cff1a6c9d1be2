#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>

namespace engram {

/// Who sent a request, as far as the connection tells.
struct http_peer {
  std::string_view address; ///< in numbers: "127.0.0.1"
  std::uint16_t port = 0;
  std::string_view certificate_subject; ///< empty without a client certificate
  std::string_view identity; ///< name of the token or of the certificate; empty where none matters
};

/// A request on its way to a handler. All views live as long as the handler runs.
struct http_request {
  static constexpr std::size_t max_parameters = 4;

  std::string_view method;
  std::string_view path;  ///< decoded, without the query
  std::string_view query; ///< as it was sent, without '?'
  std::string_view id;    ///< the client's, or one that was made up
  http_peer peer;
  /// What the `{}` of the route's pattern stand for, in their order.
  std::array<std::string_view, max_parameters> parameters;
  std::istream* body = nullptr; ///< ends where the body ends; decompressed
  /// Returns a header's value, empty if it is not there.
  std::function<std::string_view(const char* name)> header;
};

/// Where a handler writes an answer whose end is not known.
class http_stream {
public:
  virtual ~http_stream() = default;
  /// Returns false once the client is gone; end then.
  virtual bool write(std::string_view bytes) = 0;
  /// Waits; returns false at once when the server stops; end then.
  virtual bool wait(duration time) = 0;
};

struct http_reply {
  int status = 200;
  std::string body = {};
  std::string content_type = "application/json";
  std::string headers = {}; ///< further ones, each with its line end
  /// What went wrong; the server words it as the route's clients expect and `body` is ignored.
  std::optional<error> failure = {};
  /// If set, the answer is what this writes, in chunks, instead of `body`.
  std::function<void(http_stream&)> stream = {};
};

/// Returns the status that says the same as `code`.
int http_status(ec code) noexcept;

/// Returns the error as a reply, with Retry-After where waiting helps.
http_reply error_reply(error why);
/// As above with a status of its own.
http_reply error_reply(int status, error why);

} // namespace engram
