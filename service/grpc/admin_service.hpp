#pragma once

#include "engram/service/admin/admin.hpp"
#include "engram/service/admin/job_queue.hpp"
#include "engram/service/grpc/door.hpp"

#include <admin.grpc.pb.h>

namespace engram {

/// engram.v1.Admin: see service/proto/admin.proto. What may take long runs on a thread of its own,
/// so that it holds up no other call; whoever destroys this waits for what runs.
class admin_service final : public v1::Admin::CallbackService {
public:
  admin_service(grpc_door& door, admin& actions) : door_(door), actions_(actions) {}

  grpc::ServerUnaryReactor* Reload(grpc::CallbackServerContext* context, const v1::ReloadRequest*,
                                   v1::ReloadResponse* out) override;
  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context, const v1::DrainRequest*,
                                  v1::DrainResponse* out) override;
  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context,
                                    const v1::PublishRequest* in,
                                    v1::PublishResponse* out) override;
  grpc::ServerUnaryReactor* Drop(grpc::CallbackServerContext* context, const v1::DropRequest* in,
                                 v1::DropResponse* out) override;
  grpc::ServerUnaryReactor* SetBreaker(grpc::CallbackServerContext* context,
                                       const v1::SetBreakerRequest* in,
                                       v1::SetBreakerResponse* out) override;
  grpc::ServerUnaryReactor* GetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::GetLogLevelRequest*, v1::LogLevel* out) override;
  grpc::ServerUnaryReactor* SetLogLevel(grpc::CallbackServerContext* context,
                                        const v1::LogLevel* in, v1::LogLevel* out) override;
  grpc::ServerUnaryReactor* ListFaults(grpc::CallbackServerContext* context,
                                       const v1::ListFaultsRequest*, v1::FaultSites* out) override;
  grpc::ServerUnaryReactor* SetFaults(grpc::CallbackServerContext* context,
                                      const v1::SetFaultsRequest* in, v1::FaultSites* out) override;
  grpc::ServerUnaryReactor* ClearFaults(grpc::CallbackServerContext* context,
                                        const v1::ClearFaultsRequest*,
                                        v1::FaultSites* out) override;

private:
  enum class takes { no_time, time };
  /// Ends a call with what `body`, told who asks, returns, unless `closed` says that it is refused.
  template <class Body>
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext& context, std::string closed,
                                  std::string_view what, takes how_long, Body body);

  grpc_door& door_;
  admin& actions_;
  job_queue jobs_;
};

} // namespace engram
