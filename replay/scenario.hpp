#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"
#include "engram/kernels/spread.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram::replay {

/// A count for each request: always `lowest`, or evenly anything from `lowest` to `highest`.
struct count_range {
  std::uint32_t lowest = 1;
  std::uint32_t highest = 1;
};

enum class arrival_kind : std::uint8_t {
  poisson,  ///< independent of each other, as those of many users are
  constant, ///< evenly spaced
  bursts,   ///< `burst_size` at once, every `burst_period`
};
std::string_view to_string(arrival_kind kind) noexcept;

/// What vectors are sent.
enum class vector_source : std::uint8_t {
  rows,   ///< rows of the collection plus noise: queries that have near neighbours
  random, ///< every direction equally likely
};
std::string_view to_string(vector_source source) noexcept;

/// One [[load]]: requests of one kind that arrive by one law, whether or not earlier ones were
/// answered.
struct load_spec {
  std::string name;
  operation op = operation::search;
  std::string dataset; ///< empty for similarity
  arrival_kind arrival = arrival_kind::poisson;
  double rate = 0; ///< requests a second; for bursts, burst_size / burst_period
  std::uint32_t burst_size = 0;
  duration burst_period{};

  count_range queries;   ///< search: queries a request
  count_range targets;   ///< similarity: targets a request
  count_range ids;       ///< score: ids a request
  count_range seed_sets; ///< spread: seed sets a request
  count_range seeds;     ///< spread: seeds a seed set
  std::uint32_t k = 10;  ///< search
  std::uint32_t dim = 0; ///< similarity
  spread_options spread;
  vector_source vectors = vector_source::rows;
  double noise = 0.1; ///< length of the noise that is added to a row, as a share of the row's

  std::optional<duration> deadline;
  int priority = 0;
  std::string tenant;
  /// Different requests made before the start; each one sent is one of them, picked at random.
  std::uint32_t distinct = 256;
};

/// One [[fault]]: a fault point that is set at a time.
struct fault_mark {
  duration at{}; ///< from the end of the warm-up
  std::string setting;
};

/// One [[publish]]: a dataset of the scenario that is published once more, the same as before.
struct publish_mark {
  duration at{}; ///< from the end of the warm-up
  std::string dataset;
};

/// One [[dataset]]: data made from a seed, so that a scenario runs without an import.
struct synthetic_dataset {
  enum class form : std::uint8_t { vectors, graph };
  std::string name;
  form kind = form::vectors;
  std::uint32_t n = 0;              ///< vectors
  std::uint32_t dim = 0;            ///< vectors
  std::uint32_t nodes = 0;          ///< graph
  std::uint32_t edges_per_node = 0; ///< graph
  std::uint64_t seed = 1;
};

/// [objective]: what the measured part of the run must reach.
struct objective {
  std::optional<duration> p99; ///< of answers, from the scheduled time; of every operation together
  double max_error_share = 0;  ///< errors / requests
  double max_overdue_share = 1; ///< overdue answers / requests
};

/// What a replay does. See scenarios/README.md for the file format.
struct scenario {
  std::string name;
  std::string summary;
  std::string file;    ///< where it was read from
  duration measured{}; ///< length of the measured part
  duration warm_up{};  ///< load before it that no percentile or rate counts
  std::uint64_t seed = 1;
  std::vector<load_spec> loads;
  std::vector<fault_mark> faults;         ///< by time
  std::vector<publish_mark> publications; ///< by time
  std::vector<synthetic_dataset> datasets;
  double verify_share = 0.01; ///< share of answers compared with the reference
  objective goal;
  std::string preset; ///< of the configuration; empty for none
  /// Keys of the configuration and their values as a command line would write them.
  std::vector<std::pair<std::string, std::string>> config;

  /// Returns the requests a second of all loads together.
  double rate() const noexcept;
  /// Returns how late a request may be sent before it counts as late: a fiftieth of the objective's
  /// p99, but at least 1 ms, which also holds where no p99 is asked for.
  duration late_limit() const noexcept;
};

/// Requests that one replay may plan; what it remembers of each one is kept in memory.
inline constexpr double max_planned_requests = 20e6;

/// Reads a scenario. `invalid_argument` has one line for each mistake: "NAME:LINE: KEY = VALUE ...:
/// allowed ...".
result<scenario> parse_scenario(std::string_view toml, std::string_view name);
/// As above, from a file; `not_found` and `unavailable` name it.
result<scenario> load_scenario(const std::filesystem::path& file);

/// Multiplies the rate of every load by `factor` (> 0).
void scale_rate(scenario& what, double factor) noexcept;
/// Says what is wrong with the scenario as a whole, after its length or rate was changed; nothing
/// when it can run.
std::optional<std::string> complaint(const scenario& what);

} // namespace engram::replay
