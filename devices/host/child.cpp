#include "engram/devices/host/child.hpp"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

extern char** environ;

namespace engram {

namespace {

/// posix_spawn's two helpers as values.
struct spawn_settings {
  spawn_settings() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~spawn_settings() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  spawn_settings(const spawn_settings&) = delete;
  spawn_settings& operator=(const spawn_settings&) = delete;

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

/// The child gets its socket and the standard streams, and no signal handling of ours.
int spawn(const std::string& program, int socket, pid_t& pid) {
  spawn_settings settings;
  posix_spawn_file_actions_adddup2(&settings.files, socket, host_socket_fd);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&settings.attributes, &all);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  auto name = program;
  std::string command = "gpu-host";
  std::array<char*, 3> arguments{name.data(), command.data(), nullptr};
  return posix_spawn(&pid, program.c_str(), &settings.files, &settings.attributes, arguments.data(),
                     environ);
}

void wait_for(pid_t pid) {
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

} // namespace

result<host_child> host_child::start(const std::string& program) {
  auto sockets = make_host_sockets();
  if (!sockets) return std::move(sockets).error();
  pid_t pid = -1;
  if (const int failure = spawn(program, sockets->theirs.get(), pid); failure != 0)
    return error{ec::unavailable, "Starting " + program +
                                      " failed: " + std::generic_category().message(failure) + "."};
  unique_fd pid_fd{static_cast<int>(syscall(SYS_pidfd_open, pid, 0))};
  if (!pid_fd) {
    const auto why = std::generic_category().message(errno);
    ::kill(pid, SIGKILL);
    wait_for(pid);
    return error{ec::unavailable, "Watching a process of " + program + " failed: " + why + "."};
  }
  return host_child{pid, std::move(pid_fd), std::move(sockets->ours)};
}

host_child::host_child(pid_t pid, unique_fd pid_fd, unique_fd socket) noexcept
    : pid_(pid), pid_fd_(std::move(pid_fd)), socket_(std::move(socket)) {}

host_child::host_child(host_child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), pid_fd_(std::move(other.pid_fd_)),
      socket_(std::move(other.socket_)) {}

host_child::~host_child() {
  if (pid_ < 0) return;
  kill();
  wait_for(pid_);
}

bool host_child::has_ended() const noexcept {
  pollfd end{pid_fd_.get(), POLLIN, 0};
  return poll(&end, 1, 0) > 0;
}

void host_child::kill() noexcept {
  // Not by number: a program that waits for any child may have freed it for another process.
  syscall(SYS_pidfd_send_signal, pid_fd_.get(), SIGKILL, nullptr, 0);
}

} // namespace engram
