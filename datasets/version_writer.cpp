#include "engram/datasets/version_writer.hpp"

#include "engram/datasets/checksum.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

namespace engram {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view temporary_prefix = ".tmp-";

error refused_at(const fs::path& path, std::uint64_t bytes_needed, int number) {
  if (number == ENOSPC || number == EDQUOT || number == EFBIG)
    return {ec::resource_exhausted, path.string() + ": the disk or the quota is full; " +
                                        std::to_string(bytes_needed) +
                                        " bytes are needed, free them or choose another folder"};
  return {ec::unavailable,
          path.string() + ": cannot be written: " + std::generic_category().message(number)};
}

/// A file descriptor that is closed at the end of its scope.
class descriptor {
public:
  explicit descriptor(int number) noexcept : number_(number) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }

private:
  int number_;
};

/// Waits until the disk has the entries of `directory`; returns an errno, or 0.
int sync_folder(const fs::path& directory) noexcept {
  const descriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return errno;
  // Some file systems cannot sync a folder and say so; theirs are durable without, or never.
  return ::fsync(folder.get()) == 0 || errno == EINVAL ? 0 : errno;
}

/// Returns an errno, or 0.
int write_all(int file, std::span<const std::byte> content, checksum& sum) noexcept {
  constexpr std::size_t piece = std::size_t{1} << 20; // summed while it is in the cache
  while (!content.empty()) {
    const auto part = content.first(std::min(piece, content.size()));
    const ssize_t written = ::write(file, part.data(), part.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    sum.add(part.first(static_cast<std::size_t>(written)));
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

/// Removes temporary folders that nobody has locked: their writers died.
void remove_abandoned(const fs::path& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (!entry.path().filename().string().starts_with(temporary_prefix)) continue;
    // A new folder is not locked yet for a moment.
    const auto age = fs::file_time_type::clock::now() - entry.last_write_time(ignored);
    if (age < std::chrono::minutes(1)) continue;
    const descriptor folder(::open(entry.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() >= 0 && ::flock(folder.get(), LOCK_EX | LOCK_NB) == 0)
      fs::remove_all(entry.path(), ignored);
  }
}

/// Makes an empty folder of a new name in `directory` and returns it; sets `number` if that fails.
fs::path make_temporary(const fs::path& directory, int& number) {
  const std::string prefix = std::string(temporary_prefix) + std::to_string(::getpid()) + "-";
  for (std::uint64_t i = 0;; ++i) {
    fs::path temporary = directory / (prefix + std::to_string(i));
    number = ::mkdir(temporary.c_str(), 0777) == 0 ? 0 : errno;
    if (number != EEXIST) return temporary;
  }
}

} // namespace

std::string version_folder(std::uint64_t version) {
  const std::string digits = std::to_string(version);
  return "v" + std::string(digits.size() < 6 ? 6 - digits.size() : 0, '0') + digits;
}

std::uint64_t version_in(std::string_view folder) noexcept {
  std::uint64_t version = 0;
  if (folder.starts_with('v'))
    std::from_chars(folder.data() + 1, folder.data() + folder.size(), version);
  return version_folder(version) == folder ? version : 0;
}

std::uint64_t newest_version(const fs::path& directory) {
  std::uint64_t newest = 0;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(directory, missing))
    newest = std::max(newest, version_in(entry.path().filename().string()));
  return newest;
}

version_writer::version_writer(fs::path directory, fs::path temporary, int lock,
                               std::uint64_t bytes_needed)
    : directory_(std::move(directory)), temporary_(std::move(temporary)), lock_(lock),
      bytes_needed_(bytes_needed) {}

version_writer::version_writer(version_writer&& other) noexcept
    : directory_(std::move(other.directory_)), temporary_(std::exchange(other.temporary_, {})),
      lock_(std::exchange(other.lock_, -1)), bytes_needed_(other.bytes_needed_) {}

version_writer::~version_writer() {
  std::error_code ignored;
  if (!temporary_.empty()) {
    fs::remove_all(temporary_, ignored);
    ::rmdir(directory_.c_str()); // only if this was to be the first version
  }
  if (lock_ >= 0) ::close(lock_);
}

result<version_writer> version_writer::begin(const fs::path& directory,
                                             std::uint64_t bytes_needed) {
  // Another writer who fails may remove the still empty folder under our feet; then once more.
  for (int attempts = 3;; --attempts) {
    std::error_code failed;
    fs::create_directories(directory, failed);
    if (failed) return refused_at(directory, bytes_needed, failed.value());
    remove_abandoned(directory);
    int number = 0;
    auto temporary = make_temporary(directory, number);
    if (number == ENOENT && attempts > 1) continue;
    if (number != 0) return refused_at(directory, bytes_needed, number);
    descriptor lock(::open(temporary.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    // A file system without locks only loses the clearing up after writers who died.
    if (lock.get() >= 0) ::flock(lock.get(), LOCK_EX | LOCK_NB);
    return version_writer(directory, std::move(temporary), lock.release(), bytes_needed);
  }
}

error version_writer::refused(int number) const {
  return refused_at(directory_, bytes_needed_, number);
}

result<stored_file> version_writer::write(std::string_view name,
                                          std::span<const std::byte> content) {
  const auto path = temporary_ / name;
  descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (file.get() < 0) return refused(errno);
  checksum sum;
  if (const int number = write_all(file.get(), content, sum); number != 0) return refused(number);
  if (::fsync(file.get()) != 0) return refused(errno);
  if (::close(file.release()) != 0) return refused(errno);
  return stored_file{content.size(), sum.value()};
}

result<std::uint64_t> version_writer::publish(const manifest& content) {
  const std::string text = manifest_text(content);
  const auto written = write(manifest_file, std::as_bytes(std::span(text)));
  if (!written) return written.error();
  if (const int number = sync_folder(temporary_); number != 0) return refused(number);
  for (;;) {
    const std::uint64_t version = newest_version(directory_) + 1;
    const auto path = directory_ / version_folder(version);
    if (::rename(temporary_.c_str(), path.c_str()) == 0) {
      temporary_.clear();
      for (const auto& folder : {directory_, directory_.parent_path()})
        if (const int number = sync_folder(folder.empty() ? "." : folder); number != 0)
          return refused(number);
      return version;
    }
    // Another writer took the number first. Folders in use are never empty, so none is replaced.
    if (errno != EEXIST && errno != ENOTEMPTY) return refused(errno);
  }
}

} // namespace engram
