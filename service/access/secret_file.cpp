#include "engram/service/access/secret_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace engram {

namespace {

constexpr std::size_t most_bytes = std::size_t{1} << 20;

/// An open file; -1 and errno if it cannot be read.
class open_file {
public:
  explicit open_file(const std::filesystem::path& file)
      : fd_(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~open_file() {
    if (fd_ >= 0) close(fd_);
  }
  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;

  int fd() const noexcept { return fd_; }

private:
  int fd_;
};

error cannot_read(const std::filesystem::path& file, int why) {
  return {why == ENOENT ? ec::not_found : ec::invalid_argument,
          file.string() + ": cannot be read: " + std::strerror(why)};
}

result<std::string> contents(const std::filesystem::path& file, bool is_secret) {
  const open_file opened{file};
  struct stat about {};
  if (opened.fd() < 0 || fstat(opened.fd(), &about) != 0) return cannot_read(file, errno);
  if (!S_ISREG(about.st_mode))
    return error{ec::invalid_argument, file.string() + ": is not a regular file"};
  constexpr mode_t for_nobody_else = S_IRWXO | S_IWGRP;
  if (is_secret && (about.st_mode & for_nobody_else) != 0)
    return error{ec::invalid_argument,
                 file.string() + ": others may read or change it: `chmod 600` or, for a group "
                                 "that may read it, `chmod 640`"};
  std::string text(most_bytes + 1, '\0');
  std::size_t size = 0;
  for (;;) {
    const auto count = read(opened.fd(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(file, errno);
    size += static_cast<std::size_t>(count);
    if (count == 0 || size == text.size()) break;
  }
  if (size > most_bytes)
    return error{ec::invalid_argument, file.string() + ": is larger than a megabyte"};
  text.resize(size);
  return text;
}

} // namespace

result<std::string> read_small_file(const std::filesystem::path& file) {
  return contents(file, false);
}

result<std::string> read_secret_file(const std::filesystem::path& file) {
  return contents(file, true);
}

} // namespace engram
