#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/access/doorkeeper.hpp"
#include "engram/service/admin/admin.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace engram {

/// The daemon's gRPC door onto a pipeline: engram.v1.Engram and Admin, the Open Inference Protocol,
/// health (grpc.health.v1) and reflection, which are open to whoever gets through TLS. Thread-safe.
class grpc_server {
public:
  /// Listens and serves; all of them must outlive it. Without `actions` there is no
  /// engram.v1.Admin. `unavailable` when the address cannot be had.
  static result<std::unique_ptr<grpc_server>> start(pipeline& pipe, inference_server& models,
                                                    const server_options& options,
                                                    doorkeeper& keeper, admin* actions = nullptr);
  /// Stops as `stop(0)` does, unless stopped before.
  ~grpc_server();
  grpc_server(const grpc_server&) = delete;
  grpc_server& operator=(const grpc_server&) = delete;

  /// Returns the port it listens on, also when any free one was asked for.
  std::uint16_t port() const noexcept;

  /// Makes health say NOT_SERVING while true, as it does at first; else it follows the pipeline's
  /// readiness.
  void hold_readiness(bool is_held);

  /// Ends the streams once what they brought is answered, waits up to `patience` for the calls
  /// under way and cuts off the rest. New calls are served meanwhile: stop the pipeline first and
  /// they are refused. Returns true if nobody was cut off. Later calls return the same at once.
  bool stop(std::chrono::milliseconds patience = std::chrono::milliseconds{2'000});

private:
  grpc_server();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace engram
