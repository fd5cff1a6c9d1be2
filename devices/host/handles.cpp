#include "engram/devices/host/handles.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace engram {

namespace {

error system_error(ec code, std::string_view doing) {
  return {code, std::string{doing} + " failed: " + std::generic_category().message(errno) + "."};
}

result<std::span<std::byte>> map_all(int fd, std::size_t bytes, bool writable) {
  void* at = mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) return system_error(ec::resource_exhausted, "Mapping shared memory");
  return std::span{static_cast<std::byte*>(at), bytes};
}

} // namespace

unique_fd::~unique_fd() {
  if (fd_ >= 0) close(fd_);
}

result<unique_fd> unique_fd::duplicate() const {
  const int copy = fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return system_error(ec::unavailable, "Duplicating a file descriptor");
  return unique_fd{copy};
}

result<unique_fd> make_event() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return system_error(ec::unavailable, "Making an event counter");
  return unique_fd{fd};
}

void signal_event(int event) noexcept {
  static_cast<void>(eventfd_write(event, 1));
}

void clear_event(int event) noexcept {
  eventfd_t ignored = 0;
  static_cast<void>(eventfd_read(event, &ignored));
}

result<shared_memory> shared_memory::create(std::string_view label, std::size_t bytes) {
  shared_memory made;
  made.fd_ = unique_fd{memfd_create(std::string{label}.c_str(), MFD_CLOEXEC)};
  if (!made.fd_ || ftruncate(made.fd(), static_cast<off_t>(bytes)) != 0)
    return system_error(ec::resource_exhausted, "Making shared memory");
  auto at = map_all(made.fd(), bytes, true);
  if (!at) return std::move(at).error();
  made.at_ = *at;
  return made;
}

result<shared_memory> shared_memory::map(unique_fd memory, bool writable) {
  struct stat what {};
  if (fstat(memory.get(), &what) != 0)
    return system_error(ec::unavailable, "Looking at shared memory");
  auto at = map_all(memory.get(), static_cast<std::size_t>(what.st_size), writable);
  if (!at) return std::move(at).error();
  shared_memory made;
  made.fd_ = std::move(memory);
  made.at_ = *at;
  return made;
}

shared_memory::~shared_memory() {
  if (!at_.empty()) munmap(at_.data(), at_.size());
}

void shared_memory::drop_pages(std::size_t first, std::size_t count) noexcept {
  static_cast<void>(fallocate(fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                              static_cast<off_t>(first), static_cast<off_t>(count)));
}

} // namespace engram
