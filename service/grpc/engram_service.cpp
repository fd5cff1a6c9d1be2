#include "engram/service/grpc/engram_service.hpp"

#include "engram/service/grpc/engram_stream.hpp"
#include "engram/service/grpc/status.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace engram {

namespace {

/// One request until it is answered. gRPC frees it through OnDone, which comes neither before
/// Finish nor before the method has returned it.
template <class Request, class Response>
class unary_call final : public grpc::ServerUnaryReactor {
public:
  unary_call(open_calls& calls, grpc::CallbackServerContext& context, const Request& in,
             Response& out)
      : open_(calls), context_(context), in_(in), out_(out) {}

  void start(pipeline& pipe, result<grpc_request> decoded) {
    if (!decoded) {
      Finish(fail_call(context_, decoded.error()));
      return;
    }
    data_ = std::move(decoded->data);
    omit_trace_ = decoded->omit_trace;
    ticket_ = pipe.submit(std::move(decoded->what), [this](const answer& given) { end(given); });
  }

  void OnCancel() override { ticket_.cancel(); }
  void OnDone() override { delete this; }

private:
  void end(const answer& given) {
    if (!given.ok()) {
      Finish(fail_call(context_, given.failure));
      return;
    }
    if constexpr (std::is_same_v<Request, v1::ScoreRequest>)
      encode(given, data_.get(), {in_.ids().data(), static_cast<std::size_t>(in_.ids_size())},
             out_);
    else
      encode(given, data_.get(), out_);
    if (!omit_trace_) encode_trace(given, *out_.mutable_trace());
    Finish(grpc::Status::OK);
  }

  open_calls::counted open_;
  grpc::CallbackServerContext& context_;
  const Request& in_;
  Response& out_;
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

engram_service::engram_service(grpc_door& door)
    : door_(door), decoder_(door.pipe(), door.labels()) {
  SetMessageAllocatorFor_Search(&search_messages_);
  SetMessageAllocatorFor_Similarity(&similarity_messages_);
  SetMessageAllocatorFor_Score(&score_messages_);
  SetMessageAllocatorFor_Spread(&spread_messages_);
}

template <class Request, class Response>
grpc::ServerUnaryReactor* engram_service::serve(grpc::CallbackServerContext& context,
                                                const Request& in, Response& out) {
  if (const auto admitted = door_.admit(context, role::query); admitted.refusal)
    return refuse(context, *admitted.refusal);
  auto* call = new unary_call<Request, Response>(door_.calls(), context, in, out);
  auto decoded = decoder_.decode(in, arena_allocator<Request, Response>::owner_of(context));
  if (decoded)
    if (auto left = apply_deadline(context, *decoded); !left) decoded = std::move(left).error();
  call->start(door_.pipe(), std::move(decoded));
  return call;
}

grpc::ServerUnaryReactor* engram_service::Search(grpc::CallbackServerContext* context,
                                                 const v1::SearchRequest* in,
                                                 v1::SearchResponse* out) {
  return serve(*context, *in, *out);
}

grpc::ServerUnaryReactor* engram_service::Similarity(grpc::CallbackServerContext* context,
                                                     const v1::SimilarityRequest* in,
                                                     v1::SimilarityResponse* out) {
  return serve(*context, *in, *out);
}

grpc::ServerUnaryReactor* engram_service::Score(grpc::CallbackServerContext* context,
                                                const v1::ScoreRequest* in,
                                                v1::ScoreResponse* out) {
  return serve(*context, *in, *out);
}

grpc::ServerUnaryReactor* engram_service::Spread(grpc::CallbackServerContext* context,
                                                 const v1::SpreadRequest* in,
                                                 v1::SpreadResponse* out) {
  return serve(*context, *in, *out);
}

grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
engram_service::Stream(grpc::CallbackServerContext* context) {
  auto admitted = door_.admit(*context, role::query);
  if (admitted.refusal)
    return new refused_stream<v1::StreamRequest, v1::StreamResponse>{*admitted.refusal};
  return open_stream(door_, decoder_, std::move(admitted.client));
}

grpc::ServerUnaryReactor* engram_service::ListDatasets(grpc::CallbackServerContext* context,
                                                       const v1::ListDatasetsRequest*,
                                                       v1::ListDatasetsResponse* out) {
  if (const auto admitted = door_.admit(*context, role::query); admitted.refusal)
    return refuse(*context, *admitted.refusal);
  auto* reactor = context->DefaultReactor();
  encode(door_.pipe().datasets(), door_.pipe().health().devices, *out);
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

} // namespace engram
