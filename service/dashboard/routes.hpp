#pragma once

#include "engram/service/dashboard/feed.hpp"
#include "engram/service/http/http_router.hpp"

namespace engram {

/// GET /, the page; GET /dashboard/..., what it is made of; GET /dashboard/events, what it shows,
/// as server-sent events, of which the server bounds the number. `feed` must outlive the server.
void add_dashboard_routes(http_router& router, dashboard_feed& feed);

} // namespace engram
