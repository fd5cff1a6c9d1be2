#pragma once

#include "engram/service/access/role.hpp"
#include "engram/service/http/http_message.hpp"

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Serves one route. Runs on a thread of the server, several at once, and may block it.
using http_handler = std::function<http_reply(const http_request&)>;

struct http_route {
  std::string_view method;
  std::string_view pattern; ///< "/v2/models/{model}/infer": a piece in braces is any one piece
  role needs = role::query;
  std::string_view meaning;
  http_handler handler;
  bool takes_body = true; ///< with a method that has one; false: a request may come without
};

/// Which handler a request goes to. Filled before the server starts; read-only and so thread-safe
/// afterwards. GET routes serve HEAD as well.
class http_router {
public:
  void add(http_route route) { routes_.push_back(std::move(route)); }
  std::span<const http_route> routes() const noexcept { return routes_; }

  struct match {
    const http_route* route = nullptr;
    std::array<std::string_view, http_request::max_parameters> parameters;
  };
  /// Returns the route of a request. If there is none, `not_found` for the path, or
  /// `invalid_argument` where other methods are taken, which `methods_of` names.
  result<match> find(std::string_view method, std::string_view path) const;
  /// Returns the methods that are taken at `path`: "GET, PUT, HEAD"; empty where nothing is.
  std::string methods_of(std::string_view path) const;

private:
  std::vector<http_route> routes_;
};

/// Returns true for the methods whose requests have a body.
constexpr bool wants_body(std::string_view method) noexcept {
  return method == "POST" || method == "PUT";
}

} // namespace engram
