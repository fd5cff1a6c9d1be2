#include "engram/devices/host/message.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace engram {

namespace {

constexpr std::size_t most_text = 4'000;
constexpr std::size_t most_fds = 16;

struct wire_head {
  std::uint64_t kind = 0;
  std::uint64_t key = 0;
  std::uint64_t numbers[16] = {};
};

} // namespace

result<host_sockets> make_host_sockets() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
    return error{ec::unavailable,
                 "Making sockets failed: " + std::generic_category().message(errno) + "."};
  return host_sockets{unique_fd{pair[0]}, unique_fd{pair[1]}};
}

bool send(int socket, const host_message& message) {
  wire_head head{static_cast<std::uint64_t>(message.kind), message.key, {}};
  std::ranges::copy(message.numbers, head.numbers);
  iovec parts[2] = {
      {&head, sizeof(head)},
      {const_cast<char*>(message.text.data()), std::min(message.text.size(), most_text)}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * most_fds)] = {};
  msghdr out{};
  out.msg_iov = parts;
  out.msg_iovlen = 2;
  if (const auto count = std::min(message.fds.size(), most_fds); count > 0) {
    out.msg_control = control;
    out.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    auto* rights = CMSG_FIRSTHDR(&out);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
    for (std::size_t i = 0; i < count; ++i) {
      const int fd = message.fds[i].get();
      std::memcpy(CMSG_DATA(rights) + i * sizeof(int), &fd, sizeof(int));
    }
  }
  ssize_t sent;
  do
    sent = sendmsg(socket, &out, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent >= 0;
}

std::optional<host_message> receive(int socket, bool wait, bool& closed) {
  wire_head head;
  std::string text(most_text, '\0');
  iovec parts[2] = {{&head, sizeof(head)}, {text.data(), text.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * most_fds)];
  msghdr in{};
  in.msg_iov = parts;
  in.msg_iovlen = 2;
  in.msg_control = control;
  in.msg_controllen = sizeof(control);
  ssize_t got;
  do
    got = recvmsg(socket, &in, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
  while (got < 0 && errno == EINTR);
  closed = got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
  if (got < static_cast<ssize_t>(sizeof(head))) return std::nullopt;

  host_message out;
  out.kind = static_cast<host_message_kind>(head.kind);
  out.key = head.key;
  std::ranges::copy(head.numbers, out.numbers.begin());
  text.resize(static_cast<std::size_t>(got) - sizeof(head));
  out.text = std::move(text);
  for (auto* part = CMSG_FIRSTHDR(&in); part; part = CMSG_NXTHDR(&in, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      out.fds.emplace_back(fd);
    }
  }
  return out;
}

} // namespace engram
