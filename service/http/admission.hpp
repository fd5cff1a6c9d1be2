#pragma once

#include "engram/service/access/access_control.hpp"
#include "engram/service/http/http_message.hpp"

#include <optional>
#include <string>

namespace engram {

/// What came of asking whether a request may come in.
struct http_admission {
  std::optional<http_reply> refusal = {}; ///< 401, 403 or 429; nothing: it may
  std::string identity = {}; ///< of the token or the certificate, where one was asked for
};
http_admission admit(access_control& access, const http_request& in, role needed);

} // namespace engram
