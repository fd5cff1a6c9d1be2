#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/access/doorkeeper.hpp"
#include "engram/service/http/http_door.hpp"
#include "engram/service/http/http_router.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace engram {

/// The daemon's HTTP door onto a pipeline. routes.hpp names the routes that every door has; whoever
/// starts it adds others.
///
/// Every answer bears X-Request-Id, the client's own or one that was made up. Errors are RFC 9457's
/// application/problem+json with Engram's name of the error as `code`, and {"error": sentence}
/// below /v2, as Triton's clients read them. Bodies come and go compressed as the client asks. A
/// body larger than server.max_body_bytes is answered with 413 and is never held in memory. The
/// doorkeeper is asked before a request's body is looked at, and a client that is slow does not
/// keep a thread from others. Thread-safe.
class http_server {
public:
  /// Listens and serves; `pipe`, `keeper` and what `more_routes` adds must outlive it.
  /// `unavailable` when the address, or TLS, cannot be had: says why. `invalid_argument` for a host
  /// that does not exist.
  static result<std::unique_ptr<http_server>>
  start(pipeline& pipe, const server_options& options, doorkeeper& keeper,
        const std::function<void(http_router&, http_door&)>& more_routes = {});
  /// Stops as `stop(0)` does, unless stopped before.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Returns the port it listens on, also when any free one was asked for.
  std::uint16_t port() const noexcept;
  /// Returns "http://HOST:PORT", or https.
  std::string address() const;

  /// Makes /readyz say no, with `state` as the reason ("draining"), until it is called with an
  /// empty state; from then on the pipeline's own readiness shows. A server begins with "loading".
  void hold_readiness(std::string state);

  /// Ends the answers that have no end, waits up to `patience` until the other requests that are
  /// being served have their answers written, then closes every connection. New requests are served
  /// meanwhile: stop the pipeline first and they are refused. Returns true if nobody was cut off.
  /// Later calls return the same at once.
  bool stop(std::chrono::milliseconds patience = std::chrono::milliseconds{2'000});

private:
  http_server();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace engram
