#pragma once

#include "engram/service/grpc/arena_messages.hpp"
#include "engram/service/grpc/door.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <inference.grpc.pb.h>

namespace engram {

/// The Open Inference Protocol: see service/proto/inference.proto.
class inference_service final : public inference::GRPCInferenceService::CallbackService {
public:
  inference_service(grpc_door& door, inference_server& server);

// The protocol's calls all have the same form.
#define ENGRAM_UNARY(name)                                                                         \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context,                             \
                                 const inference::name##Request* in,                               \
                                 inference::name##Response* out) override;
  ENGRAM_UNARY(ServerLive)
  ENGRAM_UNARY(ServerReady)
  ENGRAM_UNARY(ModelReady)
  ENGRAM_UNARY(ServerMetadata)
  ENGRAM_UNARY(ModelMetadata)
  ENGRAM_UNARY(ModelInfer)
  ENGRAM_UNARY(ModelConfig)
  ENGRAM_UNARY(ModelStatistics)
  ENGRAM_UNARY(RepositoryIndex)
  ENGRAM_UNARY(SystemSharedMemoryStatus)
  ENGRAM_UNARY(SystemSharedMemoryRegister)
  ENGRAM_UNARY(SystemSharedMemoryUnregister)
  ENGRAM_UNARY(CudaSharedMemoryStatus)
  ENGRAM_UNARY(CudaSharedMemoryRegister)
  ENGRAM_UNARY(CudaSharedMemoryUnregister)
#undef ENGRAM_UNARY

  grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
  ModelStreamInfer(grpc::CallbackServerContext* context) override;

private:
  /// Ends a call that needs `needed` with what `body` returns.
  template <class Body>
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext& context, role needed,
                                  const Body& body);

  grpc_door& door_;
  inference_server& server_;
  arena_allocator<inference::ModelInferRequest, inference::ModelInferResponse> messages_;
};

} // namespace engram
