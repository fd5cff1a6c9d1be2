#pragma once

#include "engram/base/clock.hpp"
#include "engram/replay/random.hpp"
#include "engram/replay/scenario.hpp"

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace engram::replay {

/// One request that is to be sent.
struct planned_send {
  duration at{};             ///< from the start of the warm-up
  std::uint32_t load = 0;    ///< position in scenario::loads
  std::uint32_t variant = 0; ///< which of the load's distinct requests
};

/// The arrivals of one load, one after the other.
class arrival_stream {
public:
  arrival_stream(const load_spec& load, std::uint64_t seed) noexcept;

  /// Returns the time of the next arrival, from the start; never descends.
  duration next() noexcept;

private:
  arrival_kind kind_;
  double rate_;
  std::uint32_t burst_size_;
  double burst_seconds_;
  random_stream random_;
  std::uint64_t count_ = 0;
  double seconds_ = 0;
};

/// Every request of a replay in the order of its time, made from the seed as it is asked for. The
/// same scenario gives the same plan on every machine. Not thread-safe.
class schedule {
public:
  explicit schedule(const scenario& what);

  /// Returns the next request, or nothing after the end of the measured part.
  std::optional<planned_send> next();

private:
  struct pending {
    duration at;
    std::uint32_t load;
  };
  struct later {
    bool operator()(const pending& a, const pending& b) const noexcept {
      return a.at != b.at ? a.at > b.at : a.load > b.load;
    }
  };
  struct load_source {
    arrival_stream arrivals;
    random_stream variants;
    std::uint32_t distinct;
  };

  void refill(std::uint32_t load);

  duration end_;
  std::vector<load_source> sources_;
  std::priority_queue<pending, std::vector<pending>, later> next_;
};

} // namespace engram::replay
