#include "engram/service/http/http_router.hpp"

#include <algorithm>
#include <optional>

namespace engram {

namespace {

using parameter_list = std::array<std::string_view, http_request::max_parameters>;

/// Takes what stands before the next '/' off the front of `rest`.
std::string_view take_piece(std::string_view& rest) {
  const auto end = std::min(rest.find('/'), rest.size());
  const auto piece = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return piece;
}

/// Returns what the braces of `pattern` stand for in `path`; nothing if they do not match.
std::optional<parameter_list> match_pattern(std::string_view pattern, std::string_view path) {
  parameter_list found;
  if (std::ranges::count(pattern, '/') != std::ranges::count(path, '/')) return std::nullopt;
  for (std::size_t count = 0; !pattern.empty();) {
    const auto wanted = take_piece(pattern);
    const auto piece = take_piece(path);
    if (wanted.starts_with('{') && !piece.empty())
      found.at(count++) = piece;
    else if (wanted != piece)
      return std::nullopt;
  }
  return path.empty() ? std::optional{found} : std::nullopt;
}

bool takes(const http_route& route, std::string_view method) {
  return method == route.method || (method == "HEAD" && route.method == "GET");
}

} // namespace

result<http_router::match> http_router::find(std::string_view method, std::string_view path) const {
  for (const auto& route : routes_) {
    if (!takes(route, method)) continue;
    if (const auto parameters = match_pattern(route.pattern, path))
      return match{&route, *parameters};
  }
  const auto methods = methods_of(path);
  if (methods.empty())
    return error{ec::not_found, "there is no " + std::string{path.substr(0, 100)} +
                                    " here: GET /v1 lists what there is"};
  return error{ec::invalid_argument, std::string{path} + " takes " + methods + " only"};
}

std::string http_router::methods_of(std::string_view path) const {
  std::string out;
  bool has_get = false;
  for (const auto& route : routes_) {
    if (!match_pattern(route.pattern, path)) continue;
    out.append(out.empty() ? "" : ", ").append(route.method);
    has_get |= route.method == "GET";
  }
  return has_get ? out + ", HEAD" : out;
}

} // namespace engram
