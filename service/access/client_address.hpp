#pragma once

#include <string>
#include <string_view>

namespace engram {

/// Returns what stands for a peer when its requests and connections are counted: an IPv4 address as
/// it is, also where IPv6 wraps it, and the first 64 bits of an IPv6 address, since whoever has one
/// of them has all. `address` is in numbers; what is none comes back as it is.
std::string client_address(std::string_view address);

/// Returns true for an address of this machine that no other can reach: 127.0.0.0/8 and ::1. A name
/// is none, whatever it begins with.
bool is_loopback_address(std::string_view address);

/// Returns true if `host`, the Host of a request with or without a port, is localhost, a loopback
/// address or `own_name`. It resolves nothing: whoever owns a name says where that leads.
bool is_this_machine(std::string_view host, std::string_view own_name);

} // namespace engram
