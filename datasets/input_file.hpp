#pragma once

#include "engram/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// A regular file opened for reading. Every error it makes begins with its path.
class input_file {
public:
  /// `not_found`: there is no such file; `invalid_argument`: it is a directory or a device;
  /// `unavailable`: the operating system refuses.
  static result<input_file> open(const std::filesystem::path& path);

  input_file(input_file&& other) noexcept;
  input_file& operator=(input_file&&) = delete;
  ~input_file();

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Returns the size in bytes that it had when it was opened.
  std::uint64_t size() const noexcept { return size_; }

  /// Fills `out` with the bytes from `offset` on. `invalid_argument` if the file ends before.
  result<void> read_at(std::uint64_t offset, std::span<std::byte> out) const;

  /// Returns `invalid_argument` with "PATH: what".
  error problem(std::string_view what) const;
  /// Returns `invalid_argument` with "PATH:line: what".
  error problem_in_line(std::uint64_t line, std::string_view what) const;
  /// Returns `why` with "PATH: " in front of its message.
  error with_path(error why) const;

private:
  input_file(std::filesystem::path path, int descriptor, std::uint64_t size) noexcept;

  std::filesystem::path path_;
  int descriptor_;
  std::uint64_t size_;
};

/// Reads a text file line by line in bounded memory.
class line_reader {
public:
  explicit line_reader(const input_file& file);

  /// Moves to the next line; false at the end of the file. A last line needs no end.
  /// `invalid_argument`: a line longer than a mebibyte, or the file shrank.
  result<bool> next();
  /// Returns the current line without its end (LF or CR LF).
  std::string_view line() const noexcept { return line_; }
  /// Returns the number of the current line, from 1.
  std::uint64_t number() const noexcept { return number_; }

private:
  result<void> fill();

  const input_file* file_;
  std::vector<char> buffer_;
  std::size_t first_ = 0; ///< unread text is buffer_[first_, last_)
  std::size_t last_ = 0;
  std::uint64_t offset_ = 0; ///< bytes of the file read so far
  std::uint64_t number_ = 0;
  std::string_view line_;
};

/// Cuts the first field off `text` and returns it: what lies between blanks and tabs; empty at the
/// end.
std::string_view take_field(std::string_view& text) noexcept;

/// Reads `path` whole, a file of at most 1 GiB.
result<std::string> read_text(const std::filesystem::path& path);

} // namespace engram
