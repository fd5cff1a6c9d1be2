#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace engram::bench {

/// Returns true if `filter` names the case `name`. Without a '/' the filter is any part of the
/// name. With one its pieces must be whole neighbouring pieces of the name: "search/1000000x768" is
/// not part of "cosine_search/1000000x768", nor "x/128" of "x/1280".
bool matches(std::string_view name, std::string_view filter);

/// Returns true if any filter names it, or there are none.
bool matches_any(std::string_view name, const std::vector<std::string>& filters);

} // namespace engram::bench
