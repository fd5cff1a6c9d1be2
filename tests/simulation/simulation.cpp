#include "engram/tests/simulation/simulation.hpp"

#include "engram/tests/simulation/life.hpp"

namespace engram::simulation {

seed_report simulate(std::uint64_t seed, const teller& tell) {
  return life{seed, tell}.play();
}

std::string seed_report::verdict() const {
  const auto of = [](std::size_t n, const char* what) {
    return n == 0 ? std::string{} : ", " + std::to_string(n) + " " + what;
  };
  auto text = "seed " + std::to_string(seed) + ": " + std::to_string(requests) + " requests, " +
              std::to_string(right) + " right" + of(expired, "past their deadline") +
              of(cancelled, "taken back") + of(refused, "refused") +
              of(excused, "wrong on purpose") + of(failed, "failed by the CPU on purpose") + "; " +
              std::to_string(actor_deaths) + " actors and " + std::to_string(child_deaths) +
              " children died, " + std::to_string(breaker_changes) + " breaker changes: ";
  if (failures.empty()) return text + "all promises kept";
  text += std::to_string(failures.size()) + " BROKEN PROMISES";
  for (const auto& each : failures)
    text += "\n  - " + each;
  return text;
}

} // namespace engram::simulation
