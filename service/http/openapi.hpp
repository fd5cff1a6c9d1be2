#pragma once

#include "engram/service/http/http_router.hpp"

#include <span>
#include <string>

namespace engram {

/// Returns the OpenAPI 3.1 document of `routes`: paths, parameters and needed roles from the table
/// itself, bodies from openapi_schemas.json, which names them by route ("POST /v1/search").
std::string openapi_document(std::span<const http_route> routes);

} // namespace engram
