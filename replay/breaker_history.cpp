#include "engram/replay/breaker_history.hpp"

namespace engram::replay {

namespace {

std::optional<breaker_state> state_of(std::string_view name) {
  for (const auto state : {breaker_state::closed, breaker_state::open, breaker_state::half_open})
    if (to_string(state) == name) return state;
  return std::nullopt;
}

} // namespace

std::optional<breaker_change> breaker_change_of(const pipeline_event& event, time_point zero) {
  constexpr std::string_view arrow = " -> ";
  const std::string_view detail = event.detail;
  const auto at = detail.find(arrow);
  if (at == std::string_view::npos) return std::nullopt;
  const auto colon = detail.find(':', at);
  const auto from = state_of(detail.substr(0, at));
  const auto to_begin = at + arrow.size();
  const auto to = state_of(detail.substr(to_begin, colon - to_begin));
  if (!from || !to) return std::nullopt;
  auto why = colon == std::string_view::npos ? std::string_view{} : detail.substr(colon + 1);
  while (why.starts_with(' '))
    why.remove_prefix(1);
  return breaker_change{event.subject, to_seconds(event.when - zero), *from, *to, std::string{why}};
}

} // namespace engram::replay
