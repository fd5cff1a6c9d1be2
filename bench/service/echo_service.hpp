#pragma once

#include <engram.grpc.pb.h>

namespace engram::bench {

/// What gRPC itself costs: answers every request of engram.v1.Engram that the benchmark sends with
/// a copy of one answer, which has the size of Engram's, and computes nothing.
class echo_service final : public v1::Engram::CallbackService {
public:
  explicit echo_service(v1::SimilarityResponse answer) : answer_(std::move(answer)) {}

  grpc::ServerUnaryReactor* Similarity(grpc::CallbackServerContext* context,
                                       const v1::SimilarityRequest* in,
                                       v1::SimilarityResponse* out) override;
  grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
  Stream(grpc::CallbackServerContext* context) override;

private:
  v1::SimilarityResponse answer_;
};

} // namespace engram::bench
