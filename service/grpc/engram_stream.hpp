#pragma once

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/grpc/messages.hpp"

#include <engram.pb.h>
#include <grpcpp/support/server_callback.h>

namespace engram {

/// Serves one call of engram.v1.Engram/Stream. It frees itself; `pipe` and `decoder` outlive it.
grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
open_stream(pipeline& pipe, const grpc_decoder& decoder);

} // namespace engram
