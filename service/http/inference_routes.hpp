#pragma once

#include "engram/service/http/http_door.hpp"
#include "engram/service/http/http_router.hpp"
#include "engram/service/oip/inference_server.hpp"

#include <cstdint>

namespace engram {

/// The Open Inference Protocol over HTTP, below /v2, with what clients of NVIDIA Triton call beside
/// it. Bodies: inference_body.hpp, json_models.hpp. `max_body_bytes` is what the door takes.
/// `door` and `server` must outlive the router.
void add_inference_routes(http_router& router, http_door& door, inference_server& server,
                          std::uint64_t max_body_bytes);

} // namespace engram
