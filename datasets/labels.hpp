#pragma once

#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Returns, ascending, the numbers of the labels that list `words`. A label lists what stands
/// between its commas: "dog, domestic dog, Canis familiaris" lists three entries, and "Domestic
/// Dog" is one of them, while "Canis" is not. ASCII letters match in either case, blanks around an
/// entry and around `words` do not count. Reads every label once; a hundred thousand take a few
/// milliseconds.
std::vector<row_id> find_label(std::span<const std::string> labels, std::string_view words);

/// Returns the lines of a text file, one label each. Errors name the file.
result<std::vector<std::string>> read_labels(const std::filesystem::path& path);

} // namespace engram
