#pragma once

#include <string>
#include <string_view>

namespace engram {

/// Returns what stands for a peer when its requests and connections are counted: an IPv4 address as
/// it is, also where IPv6 wraps it, and the first 64 bits of an IPv6 address, since whoever has one
/// of them has all. `address` is in numbers; what is none comes back as it is.
std::string client_address(std::string_view address);

/// Returns true for an address of this machine that no other can reach: 127.0.0.0/8 and ::1.
bool is_loopback_address(std::string_view address);

} // namespace engram
