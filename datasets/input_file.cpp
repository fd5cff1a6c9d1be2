#include "engram/datasets/input_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace engram {

namespace {

constexpr std::size_t longest_line = std::size_t{1} << 20;

error system_problem(const std::filesystem::path& path, int number) {
  if (number == ENOENT || number == ENOTDIR)
    return {ec::not_found, path.string() + ": there is no such file"};
  return {ec::unavailable,
          path.string() + ": cannot be read: " + std::generic_category().message(number)};
}

} // namespace

input_file::input_file(std::filesystem::path path, int descriptor, std::uint64_t size) noexcept
    : path_(std::move(path)), descriptor_(descriptor), size_(size) {}

input_file::input_file(input_file&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_) {}

input_file::~input_file() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

result<input_file> input_file::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait; it is refused below.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_problem(path, errno);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) {
    const int number = errno;
    ::close(descriptor);
    return system_problem(path, number);
  }
  input_file file(path, descriptor, static_cast<std::uint64_t>(status.st_size));
  if (!S_ISREG(status.st_mode)) return file.problem("is not a regular file");
  return file;
}

result<void> input_file::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      return system_problem(path_, errno);
    }
    if (got == 0)
      return problem("ends at byte " + std::to_string(offset) + ", " + std::to_string(out.size()) +
                     " bytes too early");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

error input_file::problem(std::string_view what) const {
  return {ec::invalid_argument, path_.string() + ": " + std::string(what)};
}

error input_file::problem_in_line(std::uint64_t line, std::string_view what) const {
  return {ec::invalid_argument,
          path_.string() + ":" + std::to_string(line) + ": " + std::string(what)};
}

error input_file::with_path(error why) const {
  why.message = path_.string() + ": " + why.message;
  return why;
}

// A small file gets a small buffer, one byte larger than it: only a line past the limit may fill
// it.
line_reader::line_reader(const input_file& file)
    : file_(&file), buffer_(std::min<std::uint64_t>(longest_line, file.size() + 1)) {}

result<void> line_reader::fill() {
  std::memmove(buffer_.data(), buffer_.data() + first_, last_ - first_);
  last_ -= first_;
  first_ = 0;
  const auto count = static_cast<std::size_t>(
      std::min<std::uint64_t>(buffer_.size() - last_, file_->size() - offset_));
  auto read =
      file_->read_at(offset_, std::as_writable_bytes(std::span(buffer_).subspan(last_, count)));
  if (!read) return read;
  last_ += count;
  offset_ += count;
  return {};
}

result<bool> line_reader::next() {
  std::size_t searched = 0; // of the unread text, known to have no line end
  for (;;) {
    const char* text = buffer_.data() + first_;
    const std::size_t length = last_ - first_;
    const auto* end =
        static_cast<const char*>(std::memchr(text + searched, '\n', length - searched));
    const bool at_end_of_file = offset_ == file_->size();
    if (end == nullptr && at_end_of_file && length == 0) return false;
    if (end != nullptr || at_end_of_file) {
      line_ = {text, end != nullptr ? static_cast<std::size_t>(end - text) : length};
      first_ += line_.size() + (end != nullptr ? 1 : 0);
      if (line_.ends_with('\r')) line_.remove_suffix(1);
      ++number_;
      return true;
    }
    if (length == buffer_.size())
      return file_->problem_in_line(number_ + 1, "the line is longer than " +
                                                     std::to_string(longest_line) + " bytes");
    searched = length;
    if (auto filled = fill(); !filled) return std::move(filled).error();
  }
}

std::string_view take_field(std::string_view& text) noexcept {
  constexpr std::string_view blanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  const std::size_t length = std::min(text.find_first_of(blanks), text.size());
  const std::string_view field = text.substr(0, length);
  text.remove_prefix(length);
  return field;
}

result<std::string> read_text(const std::filesystem::path& path) {
  auto file = input_file::open(path);
  if (!file) return std::move(file).error();
  constexpr std::uint64_t largest = std::uint64_t{1} << 30;
  if (file->size() > largest)
    return file->problem("has " + std::to_string(file->size()) + " bytes, more than the " +
                         std::to_string(largest) + " that such a file can have");
  std::string text(file->size(), '\0');
  if (auto read = file->read_at(0, std::as_writable_bytes(std::span(text))); !read)
    return std::move(read).error();
  return text;
}

} // namespace engram
