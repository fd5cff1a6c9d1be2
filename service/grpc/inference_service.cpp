#include "engram/service/grpc/inference_service.hpp"

#include "engram/service/grpc/inference_messages.hpp"
#include "engram/service/grpc/inference_stream.hpp"
#include "engram/service/grpc/status.hpp"
#include "engram/service/grpc/wire.hpp"

#include <memory>
#include <string>
#include <utility>

namespace engram {

namespace {

/// One inference until it is answered. gRPC frees it through OnDone, which comes neither before
/// Finish nor before the method has returned it.
class infer_call final : public grpc::ServerUnaryReactor {
public:
  infer_call(open_calls& calls, grpc::CallbackServerContext& context, grpc::ByteBuffer& out)
      : open_(calls), context_(context), out_(out) {}

  void start(inference_server& server, infer_request decoded) {
    ticket_ = server.infer(std::move(decoded), [this](const result<infer_response>& given) {
      Finish(status_of(context_, [&] { return write(given); }));
    });
  }

  void OnCancel() override { ticket_.cancel(); }
  void OnDone() override { delete this; }

private:
  result<void> write(const result<infer_response>& given) {
    if (!given) return given.error();
    const arena_message<inference::ModelInferResponse> out;
    encode(*given, *out.message);
    auto bytes = write_message(*out.message);
    if (!bytes) return bytes.error();
    out_.Swap(&*bytes);
    return {};
  }

  open_calls::counted open_;
  grpc::CallbackServerContext& context_;
  grpc::ByteBuffer& out_;
  inference_server::ticket ticket_;
};

} // namespace

template <class Body>
grpc::ServerUnaryReactor* inference_service::serve(grpc::CallbackServerContext& context,
                                                   role needed, const Body& body) {
  return begin_call(context, [&]() -> result<grpc::ServerUnaryReactor*> {
    if (const auto admitted = door_.admit(context, needed); admitted.refusal)
      return finish_call(context, *admitted.refusal);
    if (const result<void> done = body(); !done) return done.error();
    return finish_call(context, grpc::Status::OK);
  });
}

grpc::ServerUnaryReactor* inference_service::ServerLive(grpc::CallbackServerContext* context,
                                                        const inference::ServerLiveRequest*,
                                                        inference::ServerLiveResponse* out) {
  return serve(*context, role::none, [&]() -> result<void> {
    out->set_live(door_.pipe().health().live);
    return {};
  });
}

grpc::ServerUnaryReactor* inference_service::ServerReady(grpc::CallbackServerContext* context,
                                                         const inference::ServerReadyRequest*,
                                                         inference::ServerReadyResponse* out) {
  return serve(*context, role::none, [&]() -> result<void> {
    out->set_ready(door_.is_ready());
    return {};
  });
}

grpc::ServerUnaryReactor* inference_service::ModelReady(grpc::CallbackServerContext* context,
                                                        const inference::ModelReadyRequest* in,
                                                        inference::ModelReadyResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    const auto model = find_model(door_.pipe(), in->name(), in->version());
    out->set_ready(door_.is_ready() && model);
    return {};
  });
}

grpc::ServerUnaryReactor*
inference_service::ServerMetadata(grpc::CallbackServerContext* context,
                                  const inference::ServerMetadataRequest*,
                                  inference::ServerMetadataResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    out->set_name("engram");
    out->set_version(ENGRAM_VERSION);
    for (auto& each : server_.extensions())
      out->add_extensions(std::move(each));
    return {};
  });
}

grpc::ServerUnaryReactor*
inference_service::ModelMetadata(grpc::CallbackServerContext* context,
                                 const inference::ModelMetadataRequest* in,
                                 inference::ModelMetadataResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    const auto model = find_model(door_.pipe(), in->name(), in->version());
    if (!model) return model.error();
    encode_metadata(*model, *out);
    return {};
  });
}

grpc::ServerUnaryReactor* inference_service::ModelInfer(grpc::CallbackServerContext* context,
                                                        const grpc::ByteBuffer* in,
                                                        grpc::ByteBuffer* out) {
  return begin_call(*context, [&]() -> result<grpc::ServerUnaryReactor*> {
    if (const auto admitted = door_.admit(*context, role::query); admitted.refusal)
      return finish_call(*context, *admitted.refusal);
    auto bytes = *in; // gRPC's own stays as it is; the numbers are not copied
    const auto message = read_message<inference::ModelInferRequest>(bytes);
    if (!message) return message.error();
    auto decoded = decode_inference(*message->message, message->arena, server_.regions());
    if (!decoded) return decoded.error();
    const auto left = request_deadline(*context);
    if (!left) return left.error();
    decoded->deadline = *left;
    auto call = std::make_unique<infer_call>(door_.calls(), *context, *out);
    call->start(server_, std::move(*decoded));
    return call.release();
  });
}

stream_reactor* inference_service::ModelStreamInfer(grpc::CallbackServerContext* context) {
  return begin_stream(door_, *context, [this](std::string client) {
    return make_inference_stream(door_, server_, std::move(client));
  });
}

grpc::ServerUnaryReactor* inference_service::ModelConfig(grpc::CallbackServerContext* context,
                                                         const inference::ModelConfigRequest* in,
                                                         inference::ModelConfigResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    const auto model = find_model(door_.pipe(), in->name(), in->version());
    if (!model) return model.error();
    encode_config(*model, *out->mutable_config());
    return {};
  });
}

grpc::ServerUnaryReactor*
inference_service::ModelStatistics(grpc::CallbackServerContext* context,
                                   const inference::ModelStatisticsRequest* in,
                                   inference::ModelStatisticsResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    const auto models = models_named(door_.pipe(), in->name(), in->version());
    if (!models) return models.error();
    for (const auto& each : *models)
      encode_statistics(each, server_.statistics().of(each), *out->add_model_stats());
    return {};
  });
}

grpc::ServerUnaryReactor*
inference_service::RepositoryIndex(grpc::CallbackServerContext* context,
                                   const inference::RepositoryIndexRequest*,
                                   inference::RepositoryIndexResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    for (const auto& each : models_of(door_.pipe())) { // all of them are ready
      auto& to = *out->add_models();
      to.set_name(each.name);
      to.set_version(std::to_string(each.version()));
      to.set_state("READY");
    }
    return {};
  });
}

grpc::ServerUnaryReactor*
inference_service::SystemSharedMemoryStatus(grpc::CallbackServerContext* context,
                                            const inference::SystemSharedMemoryStatusRequest* in,
                                            inference::SystemSharedMemoryStatusResponse* out) {
  return serve(*context, role::query, [&]() -> result<void> {
    const auto regions = server_.regions().list(in->name());
    if (!regions) return regions.error();
    for (const auto& each : *regions) {
      auto& to = (*out->mutable_regions())[each.name];
      to.set_name(each.name);
      to.set_key(each.key);
      to.set_offset(each.offset);
      to.set_byte_size(each.byte_size);
    }
    return {};
  });
}

grpc::ServerUnaryReactor* inference_service::SystemSharedMemoryRegister(
    grpc::CallbackServerContext* context, const inference::SystemSharedMemoryRegisterRequest* in,
    inference::SystemSharedMemoryRegisterResponse*) {
  return serve(*context, role::query, [&] {
    return server_.regions().add({in->name(), in->key(), in->offset(), in->byte_size()});
  });
}

grpc::ServerUnaryReactor* inference_service::SystemSharedMemoryUnregister(
    grpc::CallbackServerContext* context, const inference::SystemSharedMemoryUnregisterRequest* in,
    inference::SystemSharedMemoryUnregisterResponse*) {
  return serve(*context, role::query, [&] { return server_.regions().remove(in->name()); });
}

grpc::ServerUnaryReactor*
inference_service::CudaSharedMemoryStatus(grpc::CallbackServerContext* context,
                                          const inference::CudaSharedMemoryStatusRequest* in,
                                          inference::CudaSharedMemoryStatusResponse*) {
  return serve(*context, role::query, [&]() -> result<void> {
    return in->name().empty() ? result<void>{} : no_cuda_regions();
  });
}

grpc::ServerUnaryReactor*
inference_service::CudaSharedMemoryRegister(grpc::CallbackServerContext* context,
                                            const inference::CudaSharedMemoryRegisterRequest*,
                                            inference::CudaSharedMemoryRegisterResponse*) {
  return serve(*context, role::query, []() -> result<void> { return no_cuda_regions(); });
}

grpc::ServerUnaryReactor* inference_service::CudaSharedMemoryUnregister(
    grpc::CallbackServerContext* context, const inference::CudaSharedMemoryUnregisterRequest* in,
    inference::CudaSharedMemoryUnregisterResponse*) {
  return serve(*context, role::query, [&]() -> result<void> {
    return in->name().empty() ? result<void>{} : no_cuda_regions();
  });
}

} // namespace engram
