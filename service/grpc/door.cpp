#include "engram/service/grpc/door.hpp"

#include "engram/service/grpc/peer.hpp"

#include <chrono>
#include <string_view>
#include <utility>

namespace engram {

namespace {

using kind = access_verdict::kind;

std::string_view value_of(const grpc::CallbackServerContext& context, const char* name) {
  const auto& all = context.client_metadata();
  const auto found = all.find(name);
  if (found == all.end()) return {};
  return {found->second.data(), found->second.size()};
}

grpc::Status refusal_of(grpc::CallbackServerContext& context, const access_verdict& verdict) {
  const auto end = [&](const char* name, grpc::StatusCode code) {
    context.AddTrailingMetadata("engram-code", name);
    return grpc::Status{code, verdict.message};
  };
  switch (verdict.what) {
  case kind::unauthenticated:
    return end("unauthenticated", grpc::StatusCode::UNAUTHENTICATED);
  case kind::forbidden:
    return end("forbidden", grpc::StatusCode::PERMISSION_DENIED);
  default:
    break;
  }
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(verdict.retry_after);
  context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(wait.count()));
  return end("overloaded", grpc::StatusCode::RESOURCE_EXHAUSTED);
}

} // namespace

grpc_door::admission grpc_door::admit(grpc::CallbackServerContext& context, role needed) {
  if (access().lets_anybody(needed)) return {};
  const std::string peer = peer_address(context.peer());
  const std::string certificate = certificate_name(context);
  auto verdict = access().check({.authorization = value_of(context, "authorization"),
                                 .certificate = certificate,
                                 .address = peer},
                                needed);
  if (!verdict) return {.refusal = refusal_of(context, verdict)};
  return {.client = std::move(verdict.client), .identity = std::move(verdict.identity)};
}

grpc::ServerUnaryReactor* finish_call(grpc::CallbackServerContext& context,
                                      const grpc::Status& status) {
  auto* reactor = context.DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

} // namespace engram
