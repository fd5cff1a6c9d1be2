#include "engram/service/http/admission.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace engram {

namespace {

using kind = access_verdict::kind;

/// Returns the common name in a subject such as "/O=Engram/CN=ada".
std::string_view common_name(std::string_view subject) {
  constexpr std::string_view label = "/CN=";
  const auto at = subject.find(label);
  if (at == std::string_view::npos) return subject;
  const auto name = subject.substr(at + label.size());
  return name.substr(0, name.find('/'));
}

http_reply reply_to(access_verdict verdict) {
  const auto why = [&](ec code) { return error{code, std::move(verdict.message)}; };
  switch (verdict.what) {
  case kind::unauthenticated: {
    auto reply = error_reply(401, why(ec::invalid_argument));
    reply.headers = "WWW-Authenticate: Bearer\r\n";
    return reply;
  }
  case kind::forbidden:
    return error_reply(403, why(ec::invalid_argument));
  default:
    break;
  }
  auto reply = error_reply(why(ec::overloaded));
  const auto wait = std::chrono::ceil<std::chrono::seconds>(verdict.retry_after);
  reply.headers = "Retry-After: " + std::to_string(wait.count()) + "\r\n";
  return reply;
}

} // namespace

http_admission admit(access_control& access, const http_request& in, role needed) {
  if (access.lets_anybody(needed)) return {};
  auto verdict = access.check({.authorization = in.header("Authorization"),
                               .certificate = common_name(in.peer.certificate_subject),
                               .address = in.peer.address,
                               .host = in.header("Host")},
                              needed);
  if (!verdict) return {.refusal = reply_to(std::move(verdict))};
  return {.identity = std::move(verdict.identity)};
}

} // namespace engram
