#pragma once

#include "engram/base/error.hpp"
#include "engram/devices/host/handles.hpp"
#include "engram/devices/host/message.hpp"

#include <sys/types.h>

#include <string>

namespace engram {

/// A child process with a socket to it. The destructor kills it and waits for its end; it also dies
/// with the thread that started it, and with this process.
class host_child {
public:
  /// Runs `program gpu-host`. `unavailable` with the system's reason.
  static result<host_child> start(const std::string& program);

  host_child(host_child&& other) noexcept;
  host_child& operator=(host_child&&) = delete;
  ~host_child();

  pid_t pid() const noexcept { return pid_; }
  int socket() const noexcept { return socket_.get(); }
  /// Readable once the process has ended.
  int end_event() const noexcept { return pid_fd_.get(); }
  bool has_ended() const noexcept;
  void kill() noexcept;

private:
  host_child(pid_t pid, unique_fd pid_fd, unique_fd socket) noexcept;

  pid_t pid_ = -1;
  unique_fd pid_fd_, socket_;
};

/// The number of the socket in a child process.
inline constexpr int host_socket_fd = 3;

} // namespace engram
