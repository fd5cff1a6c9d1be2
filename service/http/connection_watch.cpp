#include "engram/service/http/connection_watch.hpp"

#include "engram/service/access/client_address.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

namespace engram {

namespace {

using endpoint = std::pair<std::string, std::uint16_t>;
using name_of_socket = int (*)(int, sockaddr*, socklen_t*);

/// Returns the address in numbers and the port of one side of a socket; nothing for what is none.
std::optional<endpoint> side_of(int fd, name_of_socket ask) {
  sockaddr_storage raw{};
  socklen_t size = sizeof raw;
  if (ask(fd, reinterpret_cast<sockaddr*>(&raw), &size) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (raw.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(raw);
    inet_ntop(AF_INET, &in.sin_addr, text.data(), text.size());
    return endpoint{text.data(), ntohs(in.sin_port)};
  }
  if (raw.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(raw);
    inet_ntop(AF_INET6, &in.sin6_addr, text.data(), text.size());
    return endpoint{text.data(), ntohs(in.sin6_port)};
  }
  return {};
}

/// Returns the numbers of this process's open files.
std::vector<int> open_files() {
  std::vector<int> out;
  const auto close = [](DIR* what) { closedir(what); };
  const std::unique_ptr<DIR, decltype(close)> folder{opendir("/proc/self/fd"), close};
  while (const dirent* entry = folder ? readdir(folder.get()) : nullptr)
    if (entry->d_name[0] != '.') out.push_back(std::atoi(entry->d_name));
  return out;
}

/// Shuts a connection down. Its number may have become another file's meanwhile, but a duplicate's
/// cannot: that is what is looked at and shut down.
void shut_down(int fd, const endpoint& client, int how) {
  const int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) return;
  if (side_of(duplicate, getpeername) == client) shutdown(duplicate, how);
  close(duplicate);
}

} // namespace

connection_watch::serving::serving(connection_watch& watch, std::string_view address,
                                   std::uint16_t port)
    : watch_(watch) {
  const std::lock_guard lock{watch_.mutex_};
  mine_ = watch_.served_.emplace(end{std::string{address}, port}, state{});
}

connection_watch::serving::~serving() {
  const std::lock_guard lock{watch_.mutex_};
  watch_.served_.erase(mine_);
}

time_point connection_watch::serving::due_for(std::uint64_t bytes) const {
  constexpr std::uint64_t mebibyte = 1 << 20;
  const auto begun = static_cast<std::int64_t>((bytes + mebibyte - 1) / mebibyte);
  return watch_.clock_.now() + begun * watch_.patience_;
}

connection_watch::waiting::waiting(serving& of, direction what, time_point latest) : of_(of) {
  const auto due = std::min(of_.watch_.clock_.now() + of_.watch_.patience_, latest);
  const std::lock_guard lock{of_.watch_.mutex_};
  of_.mine_->second = {.due = due, .is_sending = what == direction::sending};
}

connection_watch::waiting::~waiting() {
  const std::lock_guard lock{of_.watch_.mutex_};
  of_.mine_->second.due = time_point::max();
}

void connection_watch::start(std::uint16_t port, connection_shares shares) {
  port_ = port;
  shares_ = shares;
  watcher_ = std::jthread{[this](const std::stop_token& token) { run(token); }};
}

void connection_watch::stop() {
  if (!watcher_.joinable()) return;
  watcher_.request_stop();
  watcher_.join();
}

void connection_watch::run(const std::stop_token& token) {
  constexpr duration longest_pause = std::chrono::milliseconds{250};
  const auto pause = std::min(longest_pause, patience_ / 4);
  while (!token.stop_requested()) {
    look();
    std::unique_lock lock{mutex_};
    woken_.wait_for(lock, token, pause, [] { return false; });
  }
}

void connection_watch::look() {
  struct found {
    int fd;
    end client;
  };
  std::vector<found> connections;
  for (const int fd : open_files()) {
    const auto here = side_of(fd, getsockname);
    if (!here || here->second != port_) continue;
    if (auto client = side_of(fd, getpeername)) connections.push_back({fd, std::move(*client)});
  }

  std::vector<seen_connection> seen;
  std::set<end> known;
  const auto now = clock_.now();
  {
    const std::lock_guard lock{mutex_};
    for (const auto& each : connections) {
      const auto served = served_.find(each.client);
      // With the mutex held, so that it is still what it was waited for that is given up.
      if (served != served_.end() && served->second.due <= now)
        shut_down(each.fd, each.client, served->second.is_sending ? SHUT_RD : SHUT_RDWR);
      seen.push_back({.client = client_address(each.client.first),
                      .is_served = served != served_.end(),
                      .is_new = !known_.contains(each.client)});
      known.insert(each.client);
    }
  }
  known_ = std::move(known);
  for (const auto at : shares_.excess(seen))
    shut_down(connections[at].fd, connections[at].client, SHUT_RDWR);
}

} // namespace engram
