#pragma once

#include "engram/config/options.hpp"
#include "engram/service/dashboard/feed.hpp"
#include "engram/service/http/http_router.hpp"

namespace engram {

/// GET /, the page; GET /dashboard/..., what it is made of; GET /dashboard/events, what it shows,
/// as server-sent events. Each listener holds a thread of the server, so a quarter of them, at most
/// 8 and at least one, may listen; a further one is answered `overloaded`. `feed` must outlive the
/// server.
void add_dashboard_routes(http_router& router, dashboard_feed& feed, const server_options& options);

} // namespace engram
