#pragma once

#include "engram/service/grpc/door.hpp"
#include "engram/service/grpc/message_stream.hpp"
#include "engram/service/grpc/service_methods.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <inference.grpc.pb.h>

namespace engram {

using inference_calls = inference::GRPCInferenceService;
using inference_methods =
    service_with<inference_calls::Service, inference_calls::WithRawCallbackMethod_ModelInfer,
                 inference_calls::WithRawCallbackMethod_ModelStreamInfer,
                 inference_calls::WithCallbackMethod_ServerLive,
                 inference_calls::WithCallbackMethod_ServerReady,
                 inference_calls::WithCallbackMethod_ModelReady,
                 inference_calls::WithCallbackMethod_ServerMetadata,
                 inference_calls::WithCallbackMethod_ModelMetadata,
                 inference_calls::WithCallbackMethod_ModelConfig,
                 inference_calls::WithCallbackMethod_ModelStatistics,
                 inference_calls::WithCallbackMethod_RepositoryIndex,
                 inference_calls::WithCallbackMethod_SystemSharedMemoryStatus,
                 inference_calls::WithCallbackMethod_SystemSharedMemoryRegister,
                 inference_calls::WithCallbackMethod_SystemSharedMemoryUnregister,
                 inference_calls::WithCallbackMethod_CudaSharedMemoryStatus,
                 inference_calls::WithCallbackMethod_CudaSharedMemoryRegister,
                 inference_calls::WithCallbackMethod_CudaSharedMemoryUnregister>::type;

/// The Open Inference Protocol: see service/proto/inference.proto. Inferences come and their
/// answers go as bytes: so this says what is wrong with them, and how long they are kept.
class inference_service final : public inference_methods {
public:
  inference_service(grpc_door& door, inference_server& server) : door_(door), server_(server) {}

// The protocol's other calls all have the same form.
#define ENGRAM_UNARY(name)                                                                         \
  grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context,                             \
                                 const inference::name##Request* in,                               \
                                 inference::name##Response* out) override;
  ENGRAM_UNARY(ServerLive)
  ENGRAM_UNARY(ServerReady)
  ENGRAM_UNARY(ModelReady)
  ENGRAM_UNARY(ServerMetadata)
  ENGRAM_UNARY(ModelMetadata)
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

  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* in, grpc::ByteBuffer* out) override;
  stream_reactor* ModelStreamInfer(grpc::CallbackServerContext* context) override;

private:
  /// Ends a call that needs `needed` with what `body` returns.
  template <class Body>
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext& context, role needed,
                                  const Body& body);

  grpc_door& door_;
  inference_server& server_;
};

} // namespace engram
