#include "engram/service/http/openapi.hpp"
#include "engram/service/http/routes.hpp"
#include "engram/service/json_writer.hpp"

namespace engram {

namespace {

std::string_view name_of(role needed) {
  switch (needed) {
  case role::none:
    return "none";
  case role::query:
    return "query";
  case role::admin:
    return "admin";
  }
  return "admin";
}

std::string index_of(const http_router& router) {
  json_writer out;
  out.begin_object().field("service", "engram").field("version", ENGRAM_VERSION);
  out.key("routes").begin_array();
  for (const auto& route : router.routes())
    out.begin_object()
        .field("method", route.method)
        .field("path", route.pattern)
        .field("role", name_of(route.needs))
        .field("meaning", route.meaning)
        .end_object();
  return out.end_array().end_object().take();
}

} // namespace

void add_index_routes(http_router& router) {
  router.add({"GET", "/v1", role::none, "this list", [&router](const http_request&) {
                return http_reply{200, index_of(router)};
              }});
  router.add({"GET", "/openapi.json", role::none, "these routes as an OpenAPI document",
              [&router](const http_request&) {
                return http_reply{200, openapi_document(router.routes())};
              }});
}

} // namespace engram
