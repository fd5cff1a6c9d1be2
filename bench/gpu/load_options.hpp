#pragma once

#include "engram/base/error.hpp"

#include <cstddef>
#include <initializer_list>
#include <string>

namespace CLI {
class App;
}

namespace engram::bench {

/// What a program is told that loads a pipeline on one GPU with searches.
struct load_settings {
  std::string isolation = "process"; ///< or "none": CUDA in this process
  std::string program;               ///< the `engram` binary that isolation = "process" runs
  double rate = 5'000;               ///< requests a second
  std::size_t rows = 100'000;        ///< vectors that are resident
  std::size_t dim = 768;
};

/// Adds an option for each of `settings`, which outlives `app`.
void add_options(CLI::App& app, load_settings& settings);

/// Returns the first of `places`, seen from this program's folder, that is there; empty if none is.
std::string find_beside_this(std::initializer_list<const char*> places);

/// Names the engram binary that is beside this program, in a bundle, or where the build has it,
/// unless one is named. `unavailable` if there is none and the isolation needs it.
result<void> find_engram(load_settings& settings);

} // namespace engram::bench
