#pragma once

/// The groups of routes that every HTTP door has. Each is a file of its own.

#include "engram/service/admin/admin.hpp"
#include "engram/service/http/http_door.hpp"
#include "engram/service/http/http_router.hpp"

namespace engram {

/// GET /healthz, /readyz, /metrics.
void add_health_routes(http_router& router, http_door& door);

/// GET /v1/datasets; POST /v1/search, /v1/similarity, /v1/score, /v1/spread; bodies:
/// json_codec.hpp.
void add_operation_routes(http_router& router, http_door& door);

/// POST /v1/admin/reload, /v1/admin/drain; PUT, DELETE /v1/admin/datasets/{dataset};
/// PUT /v1/admin/devices/{device}/breaker; GET, PUT /v1/admin/log-level; GET, PUT, DELETE
/// /v1/admin/faults, body: fault_body.hpp. 503 until `actions` is open; 403 while `actions` says
/// that they are closed, and for what another site's page makes a browser send. Added by whoever
/// has something to steer; both outlive the server.
void add_admin_routes(http_router& router, const pipeline& pipe, admin& actions);

/// GET /v1, the list of all routes that `router` will have, and GET /openapi.json.
void add_index_routes(http_router& router);

} // namespace engram
