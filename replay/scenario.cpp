#include "engram/replay/scenario.hpp"

#include "engram/replay/durations.hpp"

#include <algorithm>
#include <cstdio>

namespace engram::replay {

std::string_view to_string(arrival_kind kind) noexcept {
  switch (kind) {
  case arrival_kind::poisson:
    return "poisson";
  case arrival_kind::constant:
    return "constant";
  case arrival_kind::bursts:
    return "bursts";
  }
  return "poisson";
}

std::string_view to_string(vector_source source) noexcept {
  return source == vector_source::rows ? "rows" : "random";
}

double scenario::rate() const noexcept {
  double sum = 0;
  for (const auto& load : loads)
    sum += load.rate;
  return sum;
}

duration scenario::late_limit() const noexcept {
  constexpr duration least = std::chrono::milliseconds{1};
  return goal.p99 ? std::max(least, *goal.p99 / 50) : least;
}

void scale_rate(scenario& what, double factor) noexcept {
  for (auto& load : what.loads) {
    load.rate *= factor;
    // The bursts keep their size and come more or less often.
    load.burst_period = from_seconds(to_seconds(load.burst_period) / factor);
  }
}

std::optional<std::string> complaint(const scenario& what) {
  const auto planned = what.rate() * to_seconds(what.warm_up + what.measured);
  if (planned <= max_planned_requests) return std::nullopt;
  char text[200];
  std::snprintf(text, sizeof text,
                "the scenario plans %.0f requests (%.0f/s for %s) and a replay keeps track of at "
                "most %.0f; lower a rate or the duration",
                planned, what.rate(), duration_text(what.warm_up + what.measured).c_str(),
                max_planned_requests);
  return text;
}

} // namespace engram::replay
