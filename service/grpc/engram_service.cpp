#include "engram/service/grpc/engram_service.hpp"

#include "engram/service/grpc/engram_stream.hpp"
#include "engram/service/grpc/status.hpp"
#include "engram/service/grpc/wire.hpp"

#include <algorithm>
#include <memory>
#include <span>
#include <utility>

namespace engram {

namespace {

/// One request until it is answered. gRPC frees it through OnDone, which comes neither before
/// Finish nor before the method has returned it.
template <class Request, class Response>
class unary_call final : public grpc::ServerUnaryReactor {
public:
  unary_call(open_calls& calls, grpc::CallbackServerContext& context, arena_message<Request> in,
             grpc::ByteBuffer& out)
      : open_(calls), context_(context), in_(std::move(in)), out_(out) {}

  void start(pipeline& pipe, grpc_request decoded) {
    data_ = std::move(decoded.data);
    omit_trace_ = decoded.omit_trace;
    ticket_ = pipe.submit(std::move(decoded.what), [this](const answer& given) {
      Finish(status_of(context_, [&] { return write(given); }));
    });
  }

  void OnCancel() override { ticket_.cancel(); }
  void OnDone() override { delete this; }

private:
  result<void> write(const answer& given) {
    if (!given.ok()) return given.failure;
    auto& out = *google::protobuf::Arena::CreateMessage<Response>(in_.arena.get());
    if constexpr (std::is_same_v<Request, v1::ScoreRequest>) {
      const auto& ids = in_.message->ids();
      encode(given, data_.get(), {ids.data(), static_cast<std::size_t>(ids.size())}, out);
    } else {
      encode(given, data_.get(), out);
    }
    if (!omit_trace_) encode_trace(given, *out.mutable_trace());
    auto bytes = write_message(out);
    if (!bytes) return bytes.error();
    out_.Swap(&*bytes);
    return {};
  }

  open_calls::counted open_;
  grpc::CallbackServerContext& context_;
  const arena_message<Request> in_;
  grpc::ByteBuffer& out_;
  dataset_ptr data_;
  bool omit_trace_ = false;
  ticket ticket_;
};

/// Makes the call's own deadline the request's, if it is the earlier one.
result<void> apply_deadline(const grpc::CallbackServerContext& context, grpc_request& request) {
  const auto left = request_deadline(context);
  if (!left) return left.error();
  if (!*left) return {};
  auto& deadline = std::visit(
      [](auto& each) -> auto& { return each.options.deadline; }, request.what);
  deadline = std::min(**left, deadline.value_or(**left));
  return {};
}

} // namespace

template <class Request, class Response>
grpc::ServerUnaryReactor* engram_service::serve(grpc::CallbackServerContext& context,
                                                const grpc::ByteBuffer& in, grpc::ByteBuffer& out) {
  return begin_call(context, [&]() -> result<grpc::ServerUnaryReactor*> {
    if (const auto admitted = door_.admit(context, role::query); admitted.refusal)
      return finish_call(context, *admitted.refusal);
    auto bytes = in; // gRPC's own stays as it is; the numbers are not copied
    auto message = read_message<Request>(bytes);
    if (!message) return message.error();
    auto decoded = decoder_.decode(*message->message, message->arena);
    if (!decoded) return decoded.error();
    if (const auto left = apply_deadline(context, *decoded); !left) return left.error();
    auto call = std::make_unique<unary_call<Request, Response>>(door_.calls(), context,
                                                                std::move(*message), out);
    call->start(door_.pipe(), std::move(*decoded));
    return call.release();
  });
}

grpc::ServerUnaryReactor* engram_service::Search(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* in,
                                                 grpc::ByteBuffer* out) {
  return serve<v1::SearchRequest, v1::SearchResponse>(*context, *in, *out);
}

grpc::ServerUnaryReactor* engram_service::Similarity(grpc::CallbackServerContext* context,
                                                     const grpc::ByteBuffer* in,
                                                     grpc::ByteBuffer* out) {
  return serve<v1::SimilarityRequest, v1::SimilarityResponse>(*context, *in, *out);
}

grpc::ServerUnaryReactor* engram_service::Score(grpc::CallbackServerContext* context,
                                                const grpc::ByteBuffer* in, grpc::ByteBuffer* out) {
  return serve<v1::ScoreRequest, v1::ScoreResponse>(*context, *in, *out);
}

grpc::ServerUnaryReactor* engram_service::Spread(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* in,
                                                 grpc::ByteBuffer* out) {
  return serve<v1::SpreadRequest, v1::SpreadResponse>(*context, *in, *out);
}

stream_reactor* engram_service::Stream(grpc::CallbackServerContext* context) {
  return begin_stream(door_, *context, [this](std::string client) {
    return make_engram_stream(door_, decoder_, std::move(client));
  });
}

grpc::ServerUnaryReactor* engram_service::ListDatasets(grpc::CallbackServerContext* context,
                                                       const v1::ListDatasetsRequest*,
                                                       v1::ListDatasetsResponse* out) {
  return begin_call(*context, [&]() -> result<grpc::ServerUnaryReactor*> {
    if (const auto admitted = door_.admit(*context, role::query); admitted.refusal)
      return finish_call(*context, *admitted.refusal);
    encode(door_.pipe().datasets(), door_.pipe().health().devices, *out);
    return finish_call(*context, grpc::Status::OK);
  });
}

} // namespace engram
