#pragma once

#include "engram/tests/simulation/story.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace engram::simulation {

/// What became of one seed.
struct seed_report {
  std::uint64_t seed = 0;
  std::vector<std::string> failures; ///< broken promises; none if all is well
  std::size_t requests = 0;
  std::size_t right = 0;   ///< answered with a result that is right
  std::size_t excused = 0; ///< answered wrong, by a run that was made wrong on purpose
  std::size_t expired = 0; ///< answered with deadline_exceeded
  std::size_t cancelled = 0;
  std::size_t refused = 0; ///< overloaded, shutting_down, unavailable
  std::size_t failed = 0;  ///< internal: the CPU failed a batch three times on purpose
  std::size_t actor_deaths = 0;
  std::size_t breaker_changes = 0;
  std::size_t child_deaths = 0;

  /// One line for a person.
  std::string verdict() const;
};

/// Plays one life of the whole pipeline, all chance drawn from `seed`: requests of all kinds,
/// faults of devices, deaths of actors and child processes, reloads, publications, leaps of the
/// clock. Checks on the way and at the end that every request got exactly one answer, right and in
/// time, that nothing is left behind, that memory budgets are kept and that every device comes
/// back. The same seed makes the same life, line by line.
seed_report simulate(std::uint64_t seed, const teller& tell = nullptr);

} // namespace engram::simulation
