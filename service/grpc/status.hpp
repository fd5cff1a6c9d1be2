#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/service/guarded.hpp"

#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <optional>

namespace engram {

/// Returns the status code that says the same as `code`.
grpc::StatusCode grpc_code(ec code) noexcept;

/// Returns after how many milliseconds a client should try again; 0 where waiting does not help.
std::uint32_t retry_after_ms(ec code) noexcept;

/// Returns a status of that code and that sentence.
grpc::Status to_status(const error& why) noexcept;

/// Returns the status of a call that ended with `why`, and puts Engram's name for it, and when to
/// come back, into the trailing metadata of `context`.
grpc::Status fail_call(grpc::CallbackServerContext& context, const error& why) noexcept;

/// Runs `body` as `guarded` does, and returns the status of the call that ends thereby.
template <class Body>
grpc::Status status_of(grpc::CallbackServerContext& context, const Body& body) noexcept {
  const auto done = guarded(body);
  return done ? grpc::Status{} : fail_call(context, done.error());
}

/// Returns the time that a call has left, an hour at most; nothing if its client gave it no
/// deadline. `deadline_exceeded` if there is none left.
result<std::optional<duration>> request_deadline(const grpc::CallbackServerContext& context);

} // namespace engram
