#pragma once

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/grpc/arena_messages.hpp"
#include "engram/service/grpc/door.hpp"
#include "engram/service/grpc/messages.hpp"

#include <engram.grpc.pb.h>

namespace engram {

/// engram.v1.Engram: see service/proto/engram.proto.
class engram_service final : public v1::Engram::CallbackService {
public:
  explicit engram_service(grpc_door& door);

  grpc::ServerUnaryReactor* Search(grpc::CallbackServerContext* context,
                                   const v1::SearchRequest* in, v1::SearchResponse* out) override;
  grpc::ServerUnaryReactor* Similarity(grpc::CallbackServerContext* context,
                                       const v1::SimilarityRequest* in,
                                       v1::SimilarityResponse* out) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context, const v1::ScoreRequest* in,
                                  v1::ScoreResponse* out) override;
  grpc::ServerUnaryReactor* Spread(grpc::CallbackServerContext* context,
                                   const v1::SpreadRequest* in, v1::SpreadResponse* out) override;
  grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
  Stream(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context,
                                         const v1::ListDatasetsRequest* in,
                                         v1::ListDatasetsResponse* out) override;

private:
  template <class Request, class Response>
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext& context, const Request& in,
                                  Response& out);

  grpc_door& door_;
  grpc_decoder decoder_;
  arena_allocator<v1::SearchRequest, v1::SearchResponse> search_messages_;
  arena_allocator<v1::SimilarityRequest, v1::SimilarityResponse> similarity_messages_;
  arena_allocator<v1::ScoreRequest, v1::ScoreResponse> score_messages_;
  arena_allocator<v1::SpreadRequest, v1::SpreadResponse> spread_messages_;
};

} // namespace engram
