#pragma once

#include "engram/base/error.hpp"

#include <filesystem>
#include <string>

namespace engram {

/// Returns the contents of a file of at most a megabyte; errors name it and say what to do.
result<std::string> read_small_file(const std::filesystem::path& file);

/// The same for one that holds secrets: refused if others than its owner and its group may read it,
/// or if others than its owner may write it.
result<std::string> read_secret_file(const std::filesystem::path& file);

} // namespace engram
