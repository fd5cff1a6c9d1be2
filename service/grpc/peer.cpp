#include "engram/service/grpc/peer.hpp"

#include <grpc/grpc_security_constants.h>

#include <algorithm>
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

std::string peer_address(std::string_view peer) {
  std::string text = peer_text(peer);
  text.erase(std::min(text.rfind(':'), text.size()));
  const bool is_in_brackets = text.starts_with('[') && text.ends_with(']');
  return is_in_brackets ? text.substr(1, text.size() - 2) : text;
}

std::string certificate_name(const grpc::CallbackServerContext& context) {
  const auto proof = context.auth_context();
  if (!proof || !proof->IsPeerAuthenticated()) return {};
  const auto names = proof->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  return names.empty() ? std::string{} : std::string{names[0].data(), names[0].size()};
}

} // namespace engram
