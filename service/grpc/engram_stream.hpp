#pragma once

#include "engram/service/grpc/door.hpp"
#include "engram/service/grpc/messages.hpp"

#include <engram.pb.h>
#include <grpcpp/support/server_callback.h>

#include <string>

namespace engram {

/// Serves one call of engram.v1.Engram/Stream, whose requests are `client`'s. It frees itself;
/// `door` and `decoder` outlive it.
grpc::ServerBidiReactor<v1::StreamRequest, v1::StreamResponse>*
open_stream(grpc_door& door, const grpc_decoder& decoder, std::string client);

} // namespace engram
