#include "engram/service/routes.hpp"

#include "engram/service/fault_body.hpp"
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

enum class page {
  index,
  metrics,
  healthz,
  readyz,
  datasets,
  search,
  similarity,
  score,
  spread,
  faults,
  arm_faults,
  disarm_faults
};

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
    route{"/v1/admin/faults", "GET", page::faults, "where trouble can be made, and what is armed"},
    route{"/v1/admin/faults", "PUT", page::arm_faults, "arms fault points"},
    route{"/v1/admin/faults", "DELETE", page::disarm_faults, "turns all fault points off"},
};

bool takes(const route& r, std::string_view method) {
  return method == r.method || (method == "HEAD" && r.method == "GET");
}

const route* find_route(std::string_view method, std::string_view path) {
  const auto at = std::find_if(all_routes.begin(), all_routes.end(),
                               [&](const route& r) { return r.path == path && takes(r, method); });
  return at == all_routes.end() ? nullptr : &*at;
}

/// Returns the methods of `path`, empty for one that is not there: "GET, PUT, DELETE".
std::string methods_of(std::string_view path) {
  std::string out;
  for (const auto& r : all_routes)
    if (r.path == path) out.append(out.empty() ? "" : ", ").append(r.method);
  return out;
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

routes::routes(pipeline& pipe) : pipe_(pipe), admin_enabled_(pipe.options().faults.admin_enabled) {}

std::optional<http_reply> routes::refusal(std::string_view method, std::string_view path) const {
  const auto methods = methods_of(path);
  if (methods.empty())
    return error_reply(404, {ec::not_found, "there is no " + std::string{path.substr(0, 100)} +
                                                " here: GET / lists what there is"});
  if (is_admin(path) && !admin_enabled_)
    return error_reply(403, {ec::invalid_argument,
                             std::string{path} + " is closed: faults.admin_enabled is false"});
  if (find_route(method, path)) return std::nullopt;
  auto reply =
      error_reply(405, {ec::invalid_argument, std::string{path} + " takes " + methods + " only"});
  reply.headers = "Allow: " + methods + (find_route("GET", path) ? ", HEAD" : "") + "\r\n";
  return reply;
}

http_reply routes::serve(std::string_view method, std::string_view path, std::istream& body) {
  switch (find_route(method, path)->shows) {
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
  case page::faults:
    return faults();
  case page::arm_faults:
    return arm_faults(body);
  case page::disarm_faults:
    return disarm_faults();
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

http_reply routes::faults() const {
  return {200, encode_faults(pipe_.faults())};
}

http_reply routes::arm_faults(std::istream& body) {
  const auto settings = read_fault_settings(body);
  if (!settings) return error_reply(settings.error());
  if (const auto armed = pipe_.arm_faults(*settings); !armed) return error_reply(armed.error());
  return faults();
}

http_reply routes::disarm_faults() {
  pipe_.disarm_faults();
  return faults();
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
  out.begin_object().field("live", health.live).field("state", health.state).end_object();
  return {health.live ? 200 : 503, out.take()};
}

} // namespace engram
