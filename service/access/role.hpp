#pragma once

namespace engram {

/// What a caller must be to use a route or a call. `none`: anybody.
enum class role { none, query, admin };

} // namespace engram
