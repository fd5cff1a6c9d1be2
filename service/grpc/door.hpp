#pragma once

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/access/doorkeeper.hpp"
#include "engram/service/dataset_lookup.hpp"
#include "engram/service/grpc/open_calls.hpp"
#include "engram/service/grpc/status.hpp"

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <grpcpp/support/status.h>

#include <atomic>
#include <optional>
#include <string>

namespace engram {

/// What the services of the gRPC door share. Thread-safe; outlives their calls.
class grpc_door {
public:
  grpc_door(pipeline& pipe, doorkeeper& keeper) : pipe_(pipe), keeper_(keeper) {}

  pipeline& pipe() const noexcept { return pipe_; }
  label_finder& labels() noexcept { return labels_; }
  open_calls& calls() noexcept { return calls_; }
  access_control& access() noexcept { return keeper_.access(); }

  /// What came of asking whether a call may come in.
  struct admission {
    std::optional<grpc::Status> refusal = {}; ///< what to end the call with; nothing: it may go on
    std::string client = {};   ///< whose further requests are charged; empty: nobody's
    std::string identity = {}; ///< of the token or the certificate, where asked for one
  };
  /// Every call begins with this, before anything of it is looked at. A refusal says in the
  /// trailing metadata when to come back, where that helps.
  admission admit(grpc::CallbackServerContext& context, role needed);

  /// Returns true if requests are taken, and nobody says otherwise, which at first the door does.
  bool is_ready() const { return !is_held_ && pipe_.health().ready; }
  void hold_readiness(bool is_held) noexcept { is_held_ = is_held; }

private:
  pipeline& pipe_;
  doorkeeper& keeper_;
  label_finder labels_;
  open_calls calls_;
  std::atomic<bool> is_held_{true};
};

/// Ends a call that waits for nothing.
grpc::ServerUnaryReactor* finish_call(grpc::CallbackServerContext& context,
                                      const grpc::Status& status);

/// Begins a call by `body`, which returns its reactor, or an error that ends the call. What it
/// throws does as well.
template <class Body>
grpc::ServerUnaryReactor* begin_call(grpc::CallbackServerContext& context, const Body& body) {
  grpc::ServerUnaryReactor* reactor = nullptr;
  const auto status = status_of(context, [&]() -> result<void> {
    auto begun = body();
    if (!begun) return begun.error();
    reactor = *begun;
    return {};
  });
  return reactor ? reactor : finish_call(context, status);
}

} // namespace engram
