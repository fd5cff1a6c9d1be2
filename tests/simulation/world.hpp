#pragma once

#include "engram/config/options.hpp"
#include "engram/devices/host_policy.hpp"
#include "engram/devices/sim_profile.hpp"
#include "engram/tests/simulation/dice.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace engram::simulation {

/// How a seed's life ends.
enum class ending : std::uint8_t {
  recovers, ///< trouble ends; everything has to come back
  stops,    ///< the pipeline is stopped in the middle of it
  gives_up, ///< actors may die so seldom that it ends by itself, or else recovers
};

/// What a seed's world is like: drawn once, before anything happens. A world has some kinds of
/// trouble and not others, so that what one hides another shows.
struct world {
  explicit world(dice& from);

  struct gpu {
    bool in_processes = false;
    std::uint64_t memory_bytes = 0;
    host_limits limits;
  };

  std::vector<gpu> gpus;
  pipeline_options options;
  ending end = ending::recovers;
  std::size_t steps = 0;
  bool random_order = false; ///< actors take turns by chance, not in the order of their messages
  // Which kinds of trouble there are.
  bool device_faults = false, corruption = false, cpu_faults = false, actor_deaths = false,
       child_trouble = false, reloads = false, publishes = false, leaps = false, cancels = false,
       tight_deadlines = false, slow_cpu = false;

  /// True if a GPU is so small that batches beside each other may not fit.
  bool is_tight() const noexcept {
    return std::ranges::any_of(gpus, [](const gpu& each) { return each.memory_bytes < 50'000; });
  }
  /// True if nothing may go wrong, so that nothing may look as if it had.
  bool is_calm() const noexcept {
    return !(is_tight() || device_faults || corruption || cpu_faults || actor_deaths ||
             child_trouble || reloads || leaps || slow_cpu);
  }
  std::string describe() const;
};

/// Draws options that a reload may bring: what needs a restart stays as in `now`.
pipeline_options reloaded(const pipeline_options& now, dice& from);

} // namespace engram::simulation
