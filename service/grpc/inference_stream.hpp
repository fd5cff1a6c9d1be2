#pragma once

#include "engram/service/grpc/message_stream.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <memory>
#include <string>

namespace engram {

/// Makes a stream of inferences, which are `client`'s. Answers come in the order of the requests,
/// since clients tell them apart by no more than that; an inference that fails is answered with
/// error_message and its id, and the stream goes on. `door` and `server` outlive it.
std::unique_ptr<message_stream> make_inference_stream(grpc_door& door, inference_server& server,
                                                      std::string client);

} // namespace engram
