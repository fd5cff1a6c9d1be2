#pragma once

#include "engram/base/error.hpp"
#include "engram/bench/gpu/record.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram::bench {

enum class verdict : std::uint8_t {
  improved,  ///< after < before / (1 + band)
  unchanged, ///< within the band
  regressed, ///< after > before x (1 + band)
  undecided  ///< a side has too few repeats to know its noise
};
std::string_view to_string(verdict what) noexcept;

/// The least band: below it clocks and memory placement differ from run to run by themselves.
inline constexpr double least_band = 0.02;
/// Fewer repeats of a side than this are no evidence.
inline constexpr std::size_t least_repeats = 3;

/// How one series changed.
struct change {
  double before_seconds = 0; ///< medians
  double after_seconds = 0;
  double relative = 0; ///< after / before - 1
  double band = 0;     ///< changes up to this are noise
  verdict what = verdict::undecided;
};

/// Judges two series of one case. The noise of a series is the range of the medians of its (up to)
/// 10 consecutive parts, relative to its median: drift of clocks and visits of neighbours show
/// there, which the spread of single repeats would miss or exaggerate. The band is the root of the
/// sum of both squares, and at least `least_band`.
change judge(std::span<const double> before, std::span<const double> after);

/// Other programs that keep more than this share of the cores busy disturb a run.
inline constexpr double disturbing_share = 0.1;
bool is_disturbed(const run_record& run) noexcept;

/// One line of a comparison.
struct comparison_line {
  std::string name;   ///< of the case
  std::string series; ///< "cpu", "gpu", "kernel"
  change result;
};

struct comparison {
  std::vector<comparison_line> lines;
  std::vector<std::string> only_before; ///< cases that one side lacks
  std::vector<std::string> only_after;
  std::vector<std::string> warnings; ///< differences beside the code: the machine, its neighbours
};

/// Compares all cases that both have. `invalid_argument`: a simulated GPU and a real one, or no
/// case in common.
result<comparison> compare(const run_record& before, const run_record& after);

} // namespace engram::bench
