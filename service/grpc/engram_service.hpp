#pragma once

#include "engram/service/grpc/door.hpp"
#include "engram/service/grpc/message_stream.hpp"
#include "engram/service/grpc/messages.hpp"
#include "engram/service/grpc/service_methods.hpp"

#include <engram.grpc.pb.h>

namespace engram {

using engram_methods =
    service_with<v1::Engram::Service, v1::Engram::WithRawCallbackMethod_Search,
                 v1::Engram::WithRawCallbackMethod_Similarity,
                 v1::Engram::WithRawCallbackMethod_Score, v1::Engram::WithRawCallbackMethod_Spread,
                 v1::Engram::WithRawCallbackMethod_Stream,
                 v1::Engram::WithCallbackMethod_ListDatasets>::type;

/// engram.v1.Engram: see service/proto/engram.proto. Requests come and answers go as bytes: so this
/// says what is wrong with them, and how long they are kept.
class engram_service final : public engram_methods {
public:
  explicit engram_service(grpc_door& door) : door_(door), decoder_(door.pipe(), door.labels()) {}

  grpc::ServerUnaryReactor* Search(grpc::CallbackServerContext* context, const grpc::ByteBuffer* in,
                                   grpc::ByteBuffer* out) override;
  grpc::ServerUnaryReactor* Similarity(grpc::CallbackServerContext* context,
                                       const grpc::ByteBuffer* in, grpc::ByteBuffer* out) override;
  grpc::ServerUnaryReactor* Score(grpc::CallbackServerContext* context, const grpc::ByteBuffer* in,
                                  grpc::ByteBuffer* out) override;
  grpc::ServerUnaryReactor* Spread(grpc::CallbackServerContext* context, const grpc::ByteBuffer* in,
                                   grpc::ByteBuffer* out) override;
  stream_reactor* Stream(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context,
                                         const v1::ListDatasetsRequest* in,
                                         v1::ListDatasetsResponse* out) override;

private:
  template <class Request, class Response>
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext& context, const grpc::ByteBuffer& in,
                                  grpc::ByteBuffer& out);

  grpc_door& door_;
  grpc_decoder decoder_;
};

} // namespace engram
