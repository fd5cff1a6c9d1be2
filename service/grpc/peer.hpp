#pragma once

#include "engram/service/admin/admin.hpp"

#include <grpcpp/server_context.h>

#include <string>
#include <string_view>

namespace engram {

/// Returns gRPC's "ipv4:127.0.0.1:40312" or "ipv6:%5B::1%5D:40312" as people write it.
std::string peer_text(std::string_view peer);

/// Returns who calls, as the connection tells.
admin_caller caller_of(const grpc::CallbackServerContext& context);

} // namespace engram
