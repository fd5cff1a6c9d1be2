#pragma once

#include "engram/service/grpc/door.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <grpcpp/support/server_callback.h>
#include <inference.pb.h>

#include <string>

namespace engram {

/// Serves a stream of inferences, which are `client`'s, until it has had its answers or hangs up.
/// Answers come in the order of the requests, since clients tell them apart by no more than that;
/// an inference that fails is answered with error_message and its id, and the stream goes on. It
/// frees itself; `door` and `server` outlive it.
grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
open_inference_stream(grpc_door& door, inference_server& server, std::string client);

} // namespace engram
