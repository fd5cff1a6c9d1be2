#include "engram/actors/answer.hpp"

namespace engram {

std::string_view to_string(route_reason reason) noexcept {
  switch (reason) {
  case route_reason::forced_cpu:
    return "forced_cpu";
  case route_reason::no_gpu:
    return "no_gpu";
  case route_reason::not_resident:
    return "not_resident";
  case route_reason::gpu_disabled:
    return "gpu_disabled";
  case route_reason::below_min_batch:
    return "below_min_batch";
  case route_reason::below_speedup:
    return "below_speedup";
  case route_reason::vram_budget:
    return "vram_budget";
  case route_reason::gpu_busy:
    return "gpu_busy";
  case route_reason::gpu:
    return "gpu";
  }
  return "no_gpu";
}

std::string_view to_string(breaker_state state) noexcept {
  switch (state) {
  case breaker_state::closed:
    return "closed";
  case breaker_state::open:
    return "open";
  case breaker_state::half_open:
    return "half_open";
  }
  return "closed";
}

std::string_view to_string(breaker_override what) noexcept {
  switch (what) {
  case breaker_override::automatic:
    return "automatic";
  case breaker_override::closed:
    return "closed";
  case breaker_override::open:
    return "open";
  }
  return "automatic";
}

std::optional<breaker_override> breaker_override_of(std::string_view name) noexcept {
  for (const auto what :
       {breaker_override::automatic, breaker_override::closed, breaker_override::open})
    if (name == to_string(what)) return what;
  return std::nullopt;
}

} // namespace engram
