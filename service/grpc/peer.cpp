#include "engram/service/grpc/peer.hpp"

#include <array>

namespace engram {

std::string peer_text(std::string_view peer) {
  for (const std::string_view scheme : {"ipv4:", "ipv6:"})
    if (peer.starts_with(scheme)) peer.remove_prefix(scheme.size());
  constexpr std::array<std::pair<std::string_view, char>, 2> escapes{{{"%5B", '['}, {"%5D", ']'}}};
  std::string out;
  while (!peer.empty()) {
    std::size_t taken = 1;
    char next = peer.front();
    for (const auto& [code, meaning] : escapes)
      if (peer.starts_with(code)) {
        next = meaning;
        taken = code.size();
      }
    out += next;
    peer.remove_prefix(taken);
  }
  return out;
}

admin_caller caller_of(const grpc::CallbackServerContext& context) {
  admin_caller out{peer_text(context.peer()), {}};
  if (const auto proof = context.auth_context(); proof && proof->IsPeerAuthenticated())
    for (const auto& name : proof->GetPeerIdentity())
      out.identity += (out.identity.empty() ? "" : ", ") + std::string{name.data(), name.size()};
  return out;
}

} // namespace engram
