#pragma once

#include "engram/base/error.hpp"
#include "engram/config/options.hpp"

namespace engram {

/// Refuses, with `invalid_argument` and what is lacking, to listen where other machines can reach
/// it unless the traffic is encrypted and callers have to say who they are, or server.insecure says
/// that this is wanted. docs/decisions/0022 says why.
result<void> check_listening(const server_options& options);

} // namespace engram
