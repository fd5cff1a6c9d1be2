#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace engram {

/// The daemon's HTTP door onto a pipeline: metrics, health, and the operations as JSON.
///
///   GET  /metrics /healthz /readyz /v1/datasets
///   POST /v1/search /v1/similarity /v1/score /v1/spread     bodies: json_codec.hpp
///   GET, PUT, DELETE /v1/admin/faults     where faults.admin_enabled; body: fault_body.hpp
///
/// Errors are {"error": {code, message}} with a status that fits the code. A body larger than
/// server.max_body_bytes is answered with 413 and is never held in memory. Thread-safe.
class http_server {
public:
  /// Listens and serves; `pipe` must outlive it. `unavailable` when the address cannot be had:
  /// names it and says why. `invalid_argument` for a host that does not exist.
  static result<std::unique_ptr<http_server>> start(pipeline& pipe, const server_options& options);
  /// Stops as `stop(0)` does, unless stopped before.
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  /// Returns the port it listens on, also when any free one was asked for.
  std::uint16_t port() const noexcept;
  /// Returns "http://HOST:PORT".
  std::string address() const;

  /// Makes /readyz say no, with `state` as the reason ("loading", "draining"), until it is called
  /// with an empty state; from then on the pipeline's own readiness shows.
  void hold_readiness(std::string state);

  /// Waits up to `patience` until the requests that are being served have their answers written,
  /// then closes every connection. New requests are served meanwhile: stop the pipeline first and
  /// they are refused. Returns true if nobody was cut off. Later calls return the same at once.
  bool stop(std::chrono::milliseconds patience = std::chrono::milliseconds{2'000});

private:
  http_server();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace engram
