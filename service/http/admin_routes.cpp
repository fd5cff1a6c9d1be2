#include "engram/service/admin/admin.hpp"
#include "engram/service/http/admin_body.hpp"
#include "engram/service/http/fault_body.hpp"
#include "engram/service/http/routes.hpp"
#include "engram/service/json_codec.hpp"
#include "engram/service/json_writer.hpp"

#include <string>
#include <utility>

namespace engram {

namespace {

admin_caller caller_of(const http_request& in) {
  return {std::string{in.peer.address}, std::string{in.peer.identity}};
}

http_reply closed_reply(const http_request& in, const std::string& why) {
  return error_reply(403, {ec::invalid_argument, std::string{in.path} + " is closed: " + why});
}

/// Returns true if a browser sent it on behalf of a page that is not ours: whoever reads the web on
/// this machine is not to steer it unawares.
bool is_from_another_site(const http_request& in) {
  const auto site = in.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none") return true;
  const auto origin = in.header("Origin");
  const auto host = origin.find("://");
  return !origin.empty() &&
         (host == std::string_view::npos || origin.substr(host + 3) != in.header("Host"));
}

http_reply reload(const http_request& in, admin& actions) {
  const auto changed = actions.reload(caller_of(in));
  if (!changed) return error_reply(changed.error());
  json_writer out;
  out.begin_object().key("changed").begin_array();
  for (const auto& each : *changed)
    out.begin_object()
        .field("key", each.key)
        .field("before", each.before)
        .field("after", each.after)
        .end_object();
  out.end_array().end_object();
  return {200, out.take()};
}

http_reply drain(const http_request& in, admin& actions) {
  const auto found = actions.drain(caller_of(in));
  json_writer out;
  out.begin_object().field("state", "draining").field("in_flight", found.in_flight).end_object();
  return {202, out.take()};
}

http_reply publish(const http_request& in, const pipeline& pipe, admin& actions) {
  const auto data = actions.publish(caller_of(in), std::string{in.parameters[0]});
  if (!data) return error_reply(data.error());
  return {200, encode_dataset(**data, pipe.health().devices)};
}

http_reply drop(const http_request& in, admin& actions) {
  const auto dropped = actions.drop(caller_of(in), std::string{in.parameters[0]});
  if (!dropped) return error_reply(dropped.error());
  json_writer out;
  out.begin_object().field("name", dropped->name).field("version", dropped->version).end_object();
  return {200, out.take()};
}

http_reply override_breaker(const http_request& in, admin& actions) {
  const std::string name{in.parameters[0]};
  const auto word = read_one_text(*in.body, "override");
  if (!word) return error_reply(word.error());
  const auto device = actions.override_breaker(caller_of(in), name, *word);
  if (!device) return error_reply(device.error());
  return {200, encode_device(*device)};
}

http_reply log_level(const admin& actions) {
  json_writer out;
  out.begin_object().field("level", actions.log_level()).end_object();
  return {200, out.take()};
}

http_reply set_log_level(const http_request& in, admin& actions) {
  const auto level = read_one_text(*in.body, "level");
  if (!level) return error_reply(level.error());
  if (const auto set = actions.set_log_level(caller_of(in), *level); !set)
    return error_reply(set.error());
  return log_level(actions);
}

http_reply list_faults(const admin& actions) {
  return {200, encode_faults(actions.faults())};
}

http_reply arm_faults(const http_request& in, admin& actions) {
  const auto settings = read_fault_settings(*in.body);
  if (!settings) return error_reply(settings.error());
  if (const auto armed = actions.arm_faults(caller_of(in), *settings); !armed)
    return error_reply(armed.error());
  return list_faults(actions);
}

http_reply disarm_faults(const http_request& in, admin& actions) {
  actions.disarm_faults(caller_of(in));
  return list_faults(actions);
}

} // namespace

void add_admin_routes(http_router& router, const pipeline& pipe, admin& actions) {
  using handler = http_reply (*)(const http_request&, admin&);
  const auto add = [&](std::string_view method, std::string_view pattern, std::string_view meaning,
                       http_handler serve, bool takes_body = false, bool is_fault = false) {
    router.add({method, pattern, role::admin, meaning,
                [&actions, serve = std::move(serve), is_fault](const http_request& in) {
                  if (!actions.is_open()) return error_reply(admin::not_open_yet());
                  auto closed = is_fault ? actions.faults_closed() : actions.closed();
                  if (closed.empty() && is_from_another_site(in))
                    closed = "a page of another site has sent this";
                  if (closed.empty()) return serve(in);
                  actions.note_refusal(caller_of(in),
                                       std::string{in.method} + ' ' + std::string{in.path},
                                       {ec::invalid_argument, closed});
                  return closed_reply(in, closed);
                },
                !takes_body});
  };
  const auto with = [&actions](handler what) {
    return [&actions, what](const http_request& in) { return what(in, actions); };
  };
  add("POST", "/v1/admin/reload", "reads the configuration again", with(reload));
  add("POST", "/v1/admin/drain", "answers what was accepted, and ends", with(drain));
  add("PUT", "/v1/admin/datasets/{dataset}", "serves a dataset of the store, NAME or NAME@VERSION",
      [&pipe, &actions](const http_request& in) { return publish(in, pipe, actions); });
  add("DELETE", "/v1/admin/datasets/{dataset}", "serves a dataset no longer", with(drop));
  add("PUT", "/v1/admin/devices/{device}/breaker", "says whether a GPU is to be used",
      with(override_breaker), true);
  add("GET", "/v1/admin/log-level", "what is logged",
      [&actions](const http_request&) { return log_level(actions); });
  add("PUT", "/v1/admin/log-level", "sets what is logged", with(set_log_level), true);
  add(
      "GET", "/v1/admin/faults", "where trouble can be made, and what is armed",
      [&actions](const http_request&) { return list_faults(actions); }, true, true);
  add("PUT", "/v1/admin/faults", "arms fault points", with(arm_faults), true, true);
  add("DELETE", "/v1/admin/faults", "turns all fault points off", with(disarm_faults), true, true);
}

} // namespace engram
