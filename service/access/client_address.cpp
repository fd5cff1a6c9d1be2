#include "engram/service/access/client_address.hpp"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>
#include <array>

namespace engram {

namespace {

constexpr std::string_view wrapped_v4 = "::ffff:";

/// Returns the IPv4 address that an IPv6 address wraps, or the address itself.
std::string_view unwrapped(std::string_view address) {
  const bool is_wrapped =
      address.starts_with(wrapped_v4) && address.find('.') != std::string_view::npos;
  return is_wrapped ? address.substr(wrapped_v4.size()) : address;
}

} // namespace

std::string client_address(std::string_view address) {
  std::string text{unwrapped(address)};
  in6_addr bits{};
  if (inet_pton(AF_INET6, text.c_str(), &bits) != 1) return text;
  std::fill(std::begin(bits.s6_addr) + 8, std::end(bits.s6_addr), std::uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> network{};
  inet_ntop(AF_INET6, &bits, network.data(), network.size());
  return std::string{network.data()} + "/64";
}

bool is_loopback_address(std::string_view address) {
  if (address == "::1") return true;
  const std::string text{unwrapped(address)};
  in_addr bits{};
  return inet_pton(AF_INET, text.c_str(), &bits) == 1 && ntohl(bits.s_addr) >> 24 == 127;
}

bool is_this_machine(std::string_view host, std::string_view own_name) {
  const bool is_v6 = host.starts_with('[');
  const auto end = is_v6 ? host.find(']') : host.find(':');
  const auto name = host.substr(is_v6 ? 1 : 0, end - (is_v6 ? 1 : 0));
  const auto is = [name](std::string_view other) {
    return name.size() == other.size() && strncasecmp(name.data(), other.data(), name.size()) == 0;
  };
  return is("localhost") || is(own_name) || is_loopback_address(name);
}

} // namespace engram
