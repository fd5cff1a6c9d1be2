#include "engram/service/routes.hpp"

#include "engram/service/json_codec.hpp"
#include "engram/service/json_writer.hpp"

#include <algorithm>
#include <array>
#include <istream>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace engram {

namespace {

enum class page { index, metrics, healthz, readyz, datasets, search, similarity, score, spread };

struct route {
  std::string_view path;
  std::string_view method;
  page shows;
  std::string_view meaning;
};

constexpr std::array all_routes{
    route{"/", "GET", page::index, "this list"},
    route{"/metrics", "GET", page::metrics, "all metrics in Prometheus' text format"},
    route{"/healthz", "GET", page::healthz, "200 while the pipeline is alive, else 503"},
    route{"/readyz", "GET", page::readyz, "200 while requests are taken, else 503"},
    route{"/v1/datasets", "GET", page::datasets, "the datasets that are loaded"},
    route{"/v1/search", "POST", page::search, "the rows nearest to queries"},
    route{"/v1/similarity", "POST", page::similarity, "how near given vectors are to a query"},
    route{"/v1/score", "POST", page::score, "how near listed rows are to a query"},
    route{"/v1/spread", "POST", page::spread, "the nodes that light up when these do"},
};

const route* find_route(std::string_view path) {
  const auto at = std::find_if(all_routes.begin(), all_routes.end(),
                               [&](const route& r) { return r.path == path; });
  return at == all_routes.end() ? nullptr : &*at;
}

http_reply index_reply() {
  json_writer out;
  out.begin_object().field("service", "engram").key("routes").begin_array();
  for (const auto& r : all_routes)
    out.begin_object()
        .field("method", r.method)
        .field("path", r.path)
        .field("meaning", r.meaning)
        .end_object();
  out.end_array().end_object();
  return {200, out.take()};
}

} // namespace

int http_status(ec code) noexcept {
  switch (code) {
  case ec::none:
    return 200;
  case ec::invalid_argument:
    return 400;
  case ec::not_found:
    return 404;
  case ec::overloaded:
    return 429;
  case ec::deadline_exceeded:
    return 504;
  case ec::cancelled:
    return 499;
  case ec::shutting_down:
    return 503;
  case ec::resource_exhausted:
    return 507;
  case ec::unavailable:
    return 503;
  case ec::internal:
    return 500;
  }
  return 500;
}

http_reply error_reply(int status, const error& why) {
  http_reply reply{status, encode_error(why)};
  if (status == 429 || status == 503) reply.headers = "Retry-After: 1\r\n";
  return reply;
}

http_reply error_reply(const error& why) {
  return error_reply(http_status(why.code), why);
}

std::optional<http_reply> routes::refusal(std::string_view method, std::string_view path) {
  const route* found = find_route(path);
  if (!found)
    return error_reply(404, {ec::not_found, "there is no " + std::string{path.substr(0, 100)} +
                                                " here: GET / lists what there is"});
  if (method == found->method || (method == "HEAD" && found->method == "GET")) return std::nullopt;
  auto reply = error_reply(405, {ec::invalid_argument, std::string{path} + " takes " +
                                                           std::string{found->method} + " only"});
  reply.headers = "Allow: " + std::string{found->method} +
                  (found->method == "GET" ? std::string{", HEAD"} : std::string{}) + "\r\n";
  return reply;
}

http_reply routes::serve(std::string_view path, std::istream& body) {
  switch (find_route(path)->shows) {
  case page::index:
    return index_reply();
  case page::metrics:
    return {200, pipe_.metrics(), "text/plain; version=0.0.4; charset=utf-8"};
  case page::healthz:
    return liveness();
  case page::readyz:
    return readiness();
  case page::datasets:
    return {200, encode_datasets(pipe_.datasets(), pipe_.health().devices)};
  case page::search:
    return operate(operation::search, body);
  case page::similarity:
    return operate(operation::similarity, body);
  case page::score:
    return operate(operation::score, body);
  case page::spread:
    return operate(operation::spread, body);
  }
  return error_reply({ec::internal, "a route without a page"});
}

http_reply routes::operate(operation op, std::istream& body) {
  auto decoded = decode_request(op, body, pipe_, labels_);
  if (!decoded) return error_reply(decoded.error());
  std::vector<row_id> ids;
  if (const auto* score = std::get_if<score_request>(&decoded->what)) ids = score->ids;
  const answer given = pipe_.submit(std::move(decoded->what)).get();
  if (!given.ok()) return error_reply(given.failure);
  return {200, encode_answer(given, decoded->data.get(), ids)};
}

void routes::hold_readiness(std::string state) {
  const std::lock_guard lock{mutex_};
  held_state_ = std::move(state);
}

http_reply routes::readiness() {
  std::string held;
  {
    const std::lock_guard lock{mutex_};
    held = held_state_;
  }
  const auto health = pipe_.health();
  return {held.empty() && health.ready ? 200 : 503, encode_health(health, held)};
}

http_reply routes::liveness() {
  const auto health = pipe_.health();
  json_writer out;
  out.begin_object().field("live", health.live).end_object();
  return {health.live ? 200 : 503, out.take()};
}

} // namespace engram
