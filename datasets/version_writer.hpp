#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/manifest.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace engram {

/// Returns the name of a version's folder, "v000012".
std::string version_folder(std::uint64_t version);
/// Returns the version that a folder of this name holds; 0 if it is none.
std::uint64_t version_in(std::string_view folder) noexcept;
/// Returns the newest version in `directory`; 0 if it has none or is not there.
std::uint64_t newest_version(const std::filesystem::path& directory);

/// Writes one version of a dataset to a temporary folder and renames it into place. What was not
/// published is removed with this object. Errors: `resource_exhausted` for a full disk, quota or
/// file size limit, naming the folder and the bytes needed; `unavailable` for anything else that
/// the operating system refuses.
class version_writer {
public:
  /// Opens a temporary folder in `directory`, which is made if need be, and clears away those that
  /// writers who died have left. `bytes_needed`: what will be written in all; for messages.
  static result<version_writer> begin(const std::filesystem::path& directory,
                                      std::uint64_t bytes_needed);

  version_writer(version_writer&& other) noexcept;
  version_writer& operator=(version_writer&&) = delete;
  ~version_writer();

  /// Writes a file, waits until the disk has it, and returns its size and checksum.
  result<stored_file> write(std::string_view name, std::span<const std::byte> content);
  /// Writes the manifest and makes all files the next version, whose number it returns. Several
  /// writers get different numbers.
  result<std::uint64_t> publish(const manifest& content);

private:
  version_writer(std::filesystem::path directory, std::filesystem::path temporary, int lock,
                 std::uint64_t bytes_needed);

  error refused(int number) const;

  std::filesystem::path directory_;
  std::filesystem::path temporary_; ///< empty once published or moved from
  int lock_; ///< the open temporary folder, locked: says that its writer lives
  std::uint64_t bytes_needed_;
};

} // namespace engram
