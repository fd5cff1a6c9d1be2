#pragma once

#include "engram/base/error.hpp"
#include "engram/kernels/rows.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace engram {

inline constexpr std::string_view manifest_file = "manifest.json";

/// The files of a stored version. All numbers in them are little-endian.
namespace stored {
inline constexpr std::string_view rows = "rows.bin";     ///< [rows, dim] of the element type
inline constexpr std::string_view labels = "labels.bin"; ///< rows x (u32 length, bytes)
inline constexpr std::string_view words = "words.bin";   ///< (u32 frequency, u32 length, bytes)...
inline constexpr std::string_view offsets = "offsets.bin"; ///< [rows + 1] u64, by target
inline constexpr std::string_view sources = "sources.bin"; ///< [edges] u32
inline constexpr std::string_view weights = "weights.bin"; ///< [edges] f32
} // namespace stored

struct stored_file {
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0; ///< of class checksum

  friend bool operator==(const stored_file&, const stored_file&) = default;
};

/// What manifest.json says about a stored version.
struct manifest {
  bool is_graph = false;
  std::uint64_t rows = 0;  ///< vectors or nodes
  std::uint64_t dim = 0;   ///< 0 for a graph
  std::uint64_t edges = 0; ///< 0 for a collection
  element_type type = element_type::f32;
  std::uint64_t documents = 0; ///< that the embedder was fitted on; 0 without one
  std::map<std::string, stored_file, std::less<>> files;

  bool has(std::string_view file) const { return files.contains(file); }

  friend bool operator==(const manifest&, const manifest&) = default;
};

std::string_view to_string(element_type type) noexcept;
/// Returns the type of that name ("f32", "f16", "bf16"); nothing for any other.
std::optional<element_type> element_type_named(std::string_view name) noexcept;

/// Returns the JSON text.
std::string manifest_text(const manifest& content);

/// Reads DIRECTORY/manifest.json and compares what it says with itself and with the sizes of the
/// files beside it. `invalid_argument` names the file that is missing, damaged or truncated.
result<manifest> read_manifest(const std::filesystem::path& directory);

} // namespace engram
