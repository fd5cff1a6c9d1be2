#pragma once

#include "engram/base/error.hpp"

#include <cstdint>
#include <string>

namespace engram {

/// Returns `host` and `port` as one listening address in numbers, "127.0.0.1:8080" or "[::1]:8080",
/// after trying that it can be listened on. `invalid_argument` for a host that does not exist;
/// `unavailable` when the port is taken or not allowed: one sentence that names both.
result<std::string> usable_listen_address(const std::string& host, std::uint16_t port);

/// Returns true if only this machine reaches what listens on `host`.
bool is_loopback(const std::string& host);

/// Connects to a listening address once and hangs up, which wakes whoever waits there.
void knock(const std::string& host, std::uint16_t port);

} // namespace engram
