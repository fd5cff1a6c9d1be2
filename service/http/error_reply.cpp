#include "engram/service/http/http_message.hpp"

#include <utility>

namespace engram {

int http_status(ec code) noexcept {
  switch (code) {
  case ec::none:
    return 200;
  case ec::invalid_argument:
    return 400;
  case ec::not_found:
    return 404;
  case ec::overloaded:
    return 429;
  case ec::deadline_exceeded:
    return 504;
  case ec::cancelled:
    return 499;
  case ec::shutting_down:
    return 503;
  case ec::resource_exhausted:
    return 507;
  case ec::unavailable:
    return 503;
  case ec::internal:
    return 500;
  }
  return 500;
}

http_reply error_reply(int status, error why) {
  http_reply reply;
  reply.status = status;
  reply.failure = std::move(why);
  if (status == 429 || status == 503) reply.headers = "Retry-After: 1\r\n";
  return reply;
}

http_reply error_reply(error why) {
  const int status = http_status(why.code);
  return error_reply(status, std::move(why));
}

} // namespace engram
