#pragma once

#include "engram/service/grpc/open_calls.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <grpcpp/support/server_callback.h>
#include <inference.pb.h>

namespace engram {

/// Serves a stream of inferences until the client has had its answers or hangs up. Answers come in
/// the order of the requests, since clients tell them apart by no more than that; an inference that
/// fails is answered with error_message and its id, and the stream goes on. It frees itself;
/// `calls` and `server` outlive it.
grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
open_inference_stream(open_calls& calls, inference_server& server);

} // namespace engram
