#include "engram/service/http/routes.hpp"
#include "engram/service/json_codec.hpp"
#include "engram/service/json_writer.hpp"

namespace engram {

namespace {

http_reply liveness(const pipeline& pipe) {
  const auto health = pipe.health();
  json_writer out;
  out.begin_object().field("live", health.live).field("state", health.state).end_object();
  return {health.live ? 200 : 503, out.take()};
}

http_reply readiness(const http_door& door) {
  const auto held = door.held_state();
  const auto health = door.pipe().health();
  return {held.empty() && health.ready ? 200 : 503, encode_health(health, held)};
}

} // namespace

void add_health_routes(http_router& router, http_door& door) {
  router.add({"GET", "/healthz", role::none, "200 while the pipeline is alive, else 503",
              [&door](const http_request&) { return liveness(door.pipe()); }});
  router.add({"GET", "/readyz", role::none, "200 while requests are taken, else 503",
              [&door](const http_request&) { return readiness(door); }});
  router.add(
      {"GET", "/metrics", role::query, "all metrics in Prometheus' text format",
       [&door](const http_request&) {
         return http_reply{200, door.pipe().metrics(), "text/plain; version=0.0.4; charset=utf-8"};
       }});
}

} // namespace engram
