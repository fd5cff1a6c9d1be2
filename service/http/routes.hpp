#pragma once

/// The groups of routes that every HTTP door has. Each is a file of its own.

#include "engram/service/http/http_door.hpp"
#include "engram/service/http/http_router.hpp"

namespace engram {

/// GET /healthz, /readyz, /metrics.
void add_health_routes(http_router& router, http_door& door);

/// GET /v1/datasets; POST /v1/search, /v1/similarity, /v1/score, /v1/spread; bodies:
/// json_codec.hpp.
void add_operation_routes(http_router& router, http_door& door);

/// GET, PUT, DELETE /v1/admin/faults; body: fault_body.hpp. 403 unless faults.admin_enabled.
void add_fault_routes(http_router& router, http_door& door);

/// GET /v1, the list of all routes that `router` will have, and GET /openapi.json.
void add_index_routes(http_router& router);

} // namespace engram
