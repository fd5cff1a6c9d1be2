#include "engram/base/error.hpp"

namespace engram {

std::string_view to_string(ec code) noexcept {
  switch (code) {
  case ec::none:
    return "none";
  case ec::invalid_argument:
    return "invalid_argument";
  case ec::not_found:
    return "not_found";
  case ec::overloaded:
    return "overloaded";
  case ec::deadline_exceeded:
    return "deadline_exceeded";
  case ec::cancelled:
    return "cancelled";
  case ec::shutting_down:
    return "shutting_down";
  case ec::resource_exhausted:
    return "resource_exhausted";
  case ec::unavailable:
    return "unavailable";
  case ec::internal:
    return "internal";
  }
  return "internal";
}

} // namespace engram
