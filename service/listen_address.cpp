#include "engram/service/listen_address.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace engram {

namespace {

using address_list = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

result<address_list> resolve(const std::string& host, std::uint16_t port) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (code != 0)
    return error{ec::invalid_argument,
                 "cannot listen on host \"" + host + "\": " + gai_strerror(code)};
  return address_list{found, &freeaddrinfo};
}

/// Returns why nobody can listen on `address`, 0 if one can. Nobody connects meanwhile: it never
/// accepts.
int listen_errno(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  // As the server itself does: connections of a server that has just ended do not count.
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const bool ok = bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, 1) == 0;
  const int why = ok ? 0 : errno;
  close(fd);
  return why;
}

std::string sentence(int why, const std::string& host, std::uint16_t port) {
  const std::string where =
      (host.find(':') == std::string::npos ? host : '[' + host + ']') + ':' + std::to_string(port);
  switch (why) {
  case EADDRINUSE:
    return "address " + where + " is taken by another program: stop it or choose another port";
  case EACCES:
    return "address " + where + " is not allowed for this user: choose a port from 1024 on";
  case EADDRNOTAVAIL:
    return "address " + where + " does not belong to this machine";
  default:
    return "cannot listen on " + where + ": " + std::strerror(why);
  }
}

} // namespace

result<std::string> usable_listen_address(const std::string& host, std::uint16_t port) {
  auto addresses = resolve(host, port);
  if (!addresses) return addresses.error();
  const addrinfo& first = **addresses;
  if (const int why = listen_errno(first)) return error{ec::unavailable, sentence(why, host, port)};
  std::array<char, NI_MAXHOST> numeric{};
  getnameinfo(first.ai_addr, first.ai_addrlen, numeric.data(), numeric.size(), nullptr, 0,
              NI_NUMERICHOST);
  const std::string name = numeric.data();
  return (first.ai_family == AF_INET6 ? '[' + name + ']' : name) + ':' + std::to_string(port);
}

bool is_loopback(const std::string& host) {
  const auto addresses = resolve(host, 0);
  if (!addresses) return false;
  const addrinfo& first = **addresses; // the one that is listened on
  if (first.ai_family == AF_INET6)
    return IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(first.ai_addr)->sin6_addr);
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(first.ai_addr);
  return first.ai_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

void knock(const std::string& host, std::uint16_t port) {
  const auto addresses = resolve(host, port);
  if (!addresses) return;
  const addrinfo& first = **addresses;
  const int fd = socket(first.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  static_cast<void>(connect(fd, first.ai_addr, first.ai_addrlen)); // being heard is enough
  close(fd);
}

} // namespace engram
