#include "engram/service/http/routes.hpp"
#include "engram/service/json_codec.hpp"

#include <utility>
#include <variant>
#include <vector>

namespace engram {

namespace {

http_reply operate(operation op, const http_request& in, http_door& door) {
  auto decoded = decode_request(op, *in.body, door.pipe(), door.labels());
  if (!decoded) return error_reply(decoded.error());
  std::vector<row_id> ids;
  if (const auto* score = std::get_if<score_request>(&decoded->what)) ids = score->ids;
  const answer given = door.pipe().submit(std::move(decoded->what)).get();
  if (!given.ok()) return error_reply(given.failure);
  return {200, encode_answer(given, decoded->data.get(), ids)};
}

} // namespace

void add_operation_routes(http_router& router, http_door& door) {
  router.add({"GET", "/v1/datasets", role::query, "the datasets that are loaded",
              [&door](const http_request&) {
                return http_reply{
                    200, encode_datasets(door.pipe().datasets(), door.pipe().health().devices)};
              }});
  const auto add = [&](std::string_view path, operation op, std::string_view meaning) {
    router.add({"POST", path, role::query, meaning,
                [&door, op](const http_request& in) { return operate(op, in, door); }});
  };
  add("/v1/search", operation::search, "the rows nearest to queries");
  add("/v1/similarity", operation::similarity, "how near given vectors are to a query");
  add("/v1/score", operation::score, "how near listed rows are to a query");
  add("/v1/spread", operation::spread, "the nodes that light up when these do");
}

} // namespace engram
