#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/catalog.hpp"
#include "engram/devices/work.hpp"
#include "engram/pipeline/requests.hpp"

namespace engram {

inline constexpr std::uint32_t max_k = 2048;
inline constexpr std::uint32_t max_hops = 64;
inline constexpr int max_priority = 8;
inline constexpr duration max_deadline = std::chrono::hours{1};

/// Returns the request as checked work on the current version of its dataset, or what is wrong with
/// it.
result<payload_ptr> to_payload(request what, const catalog& datasets);

/// Returns the options that every kind of request has.
const request_options& options_of(const request& what) noexcept;
operation operation_of(const request& what) noexcept;

} // namespace engram
