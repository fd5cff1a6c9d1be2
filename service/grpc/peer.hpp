#pragma once

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>

namespace engram {

/// Returns gRPC's "ipv4:127.0.0.1:40312" or "ipv6:%5B::1%5D:40312" as people write it.
std::string peer_text(std::string_view peer);

/// Returns the address of it, in numbers and without the port.
std::string peer_address(std::string_view peer);

/// Returns the common name of the caller's verified certificate, empty without one.
std::string certificate_name(const grpc::CallbackServerContext& context);

} // namespace engram
