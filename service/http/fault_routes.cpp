#include "engram/service/http/fault_body.hpp"
#include "engram/service/http/routes.hpp"
#include "engram/service/json_codec.hpp"

#include <utility>

namespace engram {

namespace {

http_reply list(const pipeline& pipe) {
  return {200, encode_faults(pipe.faults())};
}

http_reply arm(const http_request& in, pipeline& pipe) {
  const auto settings = read_fault_settings(*in.body);
  if (!settings) return error_reply(settings.error());
  if (const auto armed = pipe.arm_faults(*settings); !armed) return error_reply(armed.error());
  return list(pipe);
}

http_reply disarm(pipeline& pipe) {
  pipe.disarm_faults();
  return list(pipe);
}

/// Asks `handler` only where faults may be steered.
http_handler if_enabled(const pipeline& pipe, http_handler handler) {
  if (pipe.options().faults.admin_enabled) return handler;
  return [](const http_request& in) {
    return error_reply(403, {ec::invalid_argument,
                             std::string{in.path} + " is closed: faults.admin_enabled is false"});
  };
}

} // namespace

void add_fault_routes(http_router& router, http_door& door) {
  auto& pipe = door.pipe();
  const auto add = [&](std::string_view method, std::string_view meaning, http_handler handler) {
    router.add(
        {method, "/v1/admin/faults", role::admin, meaning, if_enabled(pipe, std::move(handler))});
  };
  add("GET", "where trouble can be made, and what is armed",
      [&pipe](const http_request&) { return list(pipe); });
  add("PUT", "arms fault points", [&pipe](const http_request& in) { return arm(in, pipe); });
  add("DELETE", "turns all fault points off",
      [&pipe](const http_request&) { return disarm(pipe); });
}

} // namespace engram
