#pragma once

#include "engram/base/error.hpp"

#include <type_traits>

namespace engram {

/// Within a handler: returns the exception that is handled as an error, `resource_exhausted` for
/// lack of memory and else `internal`.
error thrown_error() noexcept;

/// Runs `body`, which returns nothing or a result<void>. What it throws comes back as an error:
/// nothing may leave what gRPC, a pipeline or a job thread calls.
template <class Body>
result<void> guarded(const Body& body) noexcept {
  try {
    if constexpr (std::is_void_v<decltype(body())>) {
      body();
      return {};
    } else {
      return body();
    }
  } catch (...) {
    return thrown_error();
  }
}

} // namespace engram
