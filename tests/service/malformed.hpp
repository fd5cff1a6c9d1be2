#pragma once

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace engram::test {

/// How many malformed requests a door is sent. The thread sanitizer's share is smaller: it is the
/// slowest.
#if defined(__SANITIZE_THREAD__)
inline constexpr std::size_t malformed_requests = 2'000;
#else
inline constexpr std::size_t malformed_requests = 10'000;
#endif

/// One sequence of choices from one seed, the same on every machine.
class chooser {
public:
  explicit chooser(std::uint64_t seed) : bits_(seed) {}

  std::size_t below(std::size_t n) { return static_cast<std::size_t>(bits_() % n); }
  char byte() { return static_cast<char>(bits_() & 0xff); }

  std::string bytes(std::size_t count) {
    std::string out(count, '\0');
    for (auto& each : out)
      each = byte();
    return out;
  }

  template <class T>
  const T& of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

  /// Changes some bytes of `text`, one bit or all of them.
  void damage(std::string& text) {
    for (std::size_t n = text.empty() ? 0 : 1 + below(4); n > 0; --n) {
      auto& at = text[below(text.size())];
      at = below(2) == 0 ? byte() : static_cast<char>(at ^ (1 << below(8)));
    }
  }

private:
  std::mt19937_64 bits_;
};

/// What came back over a connection that was sent something.
struct raw_answer {
  std::string bytes;
  bool ended = false; ///< the other side closed in time, or all was said that `complete` waits for
};

/// A connection to 127.0.0.1 for bytes of any kind.
class raw_connection {
public:
  explicit raw_connection(std::uint16_t port)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~raw_connection() { close(fd_); }
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;

  bool connected() const { return connected_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return; // it has hung up already
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void end_of_sending() { shutdown(fd_, SHUT_WR); }

  /// Reads until the other side closes or `complete` says that nothing more is to come. After
  /// `silence` without a byte this side closes its half, and then the other one has 20 s.
  raw_answer receive(std::chrono::milliseconds silence,
                     const std::function<bool(std::string_view)>& complete) {
    raw_answer out;
    auto patience = silence;
    for (bool both_ways = true;;) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, static_cast<int>(patience.count())) == 0) {
        if (!both_ways) return out;
        both_ways = false;
        patience = std::chrono::seconds{20};
        end_of_sending();
        continue;
      }
      char bytes[16'384];
      const auto count = recv(fd_, bytes, sizeof bytes, 0);
      if (count > 0) out.bytes.append(bytes, static_cast<std::size_t>(count));
      out.ended = count <= 0 || complete(out.bytes);
      if (out.ended) return out;
    }
  }

private:
  int fd_;
  bool connected_ = false;
};

/// What a process holds that a leak would add to.
struct holdings {
  std::size_t descriptors = 0;
  std::size_t threads = 0;
  std::size_t resident_bytes = 0;

  static std::size_t entries(const char* folder) {
    std::size_t count = 0;
    if (auto* const open = opendir(folder)) {
      while (readdir(open))
        ++count;
      closedir(open);
    }
    return count;
  }

  static holdings now() {
    std::ifstream statm{"/proc/self/statm"};
    std::size_t total = 0, resident = 0;
    statm >> total >> resident;
    return {entries("/proc/self/fd"), entries("/proc/self/task"),
            resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE))};
  }

  /// As `now`, once descriptors and threads are no more than in `before`, or after 20 s: a server
  /// closes its end of a connection a little later than its client.
  static holdings back_to(const holdings& before) {
    auto at = now();
    for (int i = 0;
         i < 2000 && (at.descriptors > before.descriptors || at.threads > before.threads); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
      at = now();
    }
    return at;
  }
};

/// How much memory may grow: an allocator's slack. The sanitizers keep what was freed for a while.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr std::size_t memory_slack = std::size_t{512} << 20;
#else
inline constexpr std::size_t memory_slack = std::size_t{32} << 20;
#endif

} // namespace engram::test
