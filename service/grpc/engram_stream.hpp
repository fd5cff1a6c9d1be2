#pragma once

#include "engram/service/grpc/message_stream.hpp"
#include "engram/service/grpc/messages.hpp"

#include <memory>
#include <string>

namespace engram {

/// Makes one call of engram.v1.Engram/Stream, whose requests are `client`'s. `door` and `decoder`
/// outlive it.
std::unique_ptr<message_stream> make_engram_stream(grpc_door& door, const grpc_decoder& decoder,
                                                   std::string client);

} // namespace engram
