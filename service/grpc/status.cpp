#include "engram/service/grpc/status.hpp"

#include <grpc/support/time.h>

#include <algorithm>
#include <chrono>
#include <string>

namespace engram {

grpc::StatusCode grpc_code(ec code) noexcept {
  switch (code) {
  case ec::none:
    return grpc::StatusCode::OK;
  case ec::invalid_argument:
    return grpc::StatusCode::INVALID_ARGUMENT;
  case ec::not_found:
    return grpc::StatusCode::NOT_FOUND;
  case ec::overloaded:
  case ec::resource_exhausted:
    return grpc::StatusCode::RESOURCE_EXHAUSTED;
  case ec::deadline_exceeded:
    return grpc::StatusCode::DEADLINE_EXCEEDED;
  case ec::cancelled:
    return grpc::StatusCode::CANCELLED;
  case ec::shutting_down:
  case ec::unavailable:
    return grpc::StatusCode::UNAVAILABLE;
  case ec::internal:
    break;
  }
  return grpc::StatusCode::INTERNAL;
}

std::uint32_t retry_after_ms(ec code) noexcept {
  switch (code) {
  case ec::overloaded: // a full gate empties within a few batches
    return 50;
  case ec::shutting_down:
  case ec::unavailable:
    return 1000;
  default:
    return 0;
  }
}

grpc::Status to_status(const error& why) noexcept {
  try {
    return {grpc_code(why.code), why.message};
  } catch (...) {
    return {grpc_code(why.code), {}};
  }
}

grpc::Status fail_call(grpc::CallbackServerContext& context, const error& why) noexcept {
  try {
    context.AddTrailingMetadata("engram-code", std::string{to_string(why.code)});
    if (const auto wait = retry_after_ms(why.code))
      context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(wait));
  } catch (...) { // the status says enough
  }
  return to_status(why);
}

result<std::optional<duration>> request_deadline(const grpc::CallbackServerContext& context) {
  const gpr_timespec deadline = context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0)
    return std::optional<duration>{};
  const gpr_timespec span = gpr_convert_clock_type(deadline, GPR_TIMESPAN);
  const duration left = std::chrono::seconds{span.tv_sec} + std::chrono::nanoseconds{span.tv_nsec};
  if (left <= duration::zero())
    return error{ec::deadline_exceeded, "the call's deadline had passed when it arrived"};
  constexpr duration longest = std::chrono::hours{1};
  return std::optional{std::min(left, longest)};
}

} // namespace engram
