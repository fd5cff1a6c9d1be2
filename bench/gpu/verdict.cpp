#include "engram/bench/gpu/verdict.hpp"

#include "engram/bench/gpu/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace engram::bench {

namespace {

constexpr std::size_t parts = 10;
constexpr const char* compared[] = {"cpu", "gpu", "kernel"};

double noise_of(std::span<const double> values) {
  const auto medians = block_medians(values, parts);
  const auto [least, most] = std::minmax_element(medians.begin(), medians.end());
  const double middle = median(values);
  return middle > 0 ? (*most - *least) / middle : 0;
}

void add_lines(const case_record& before, const case_record& after,
               std::vector<comparison_line>& lines) {
  for (const char* which : compared) {
    const auto* a = before.series(which);
    const auto* b = after.series(which);
    if (a && b) lines.push_back({before.name, which, judge(*a, *b)});
  }
}

void warn(std::vector<std::string>& warnings, const char* what, const std::string& before,
          const std::string& after) {
  if (before != after)
    warnings.push_back(std::string{"the "} + what + " differs: " + before + ", then " + after);
}

void warn_of_neighbours(std::vector<std::string>& warnings, const char* side,
                        const run_record& run) {
  if (!is_disturbed(run)) return;
  char text[128];
  std::snprintf(text, sizeof text, "in the run %s, other programs kept %.1f of %u cores busy", side,
                run.cores_used_by_others, run.cores);
  warnings.emplace_back(text);
}

} // namespace

std::string_view to_string(verdict what) noexcept {
  switch (what) {
  case verdict::improved:
    return "improved";
  case verdict::unchanged:
    return "unchanged";
  case verdict::regressed:
    return "regressed";
  case verdict::undecided:
    break;
  }
  return "undecided";
}

change judge(std::span<const double> before, std::span<const double> after) {
  change c{.before_seconds = median(before), .after_seconds = median(after)};
  if (c.before_seconds > 0) c.relative = c.after_seconds / c.before_seconds - 1;
  if (std::min(before.size(), after.size()) < least_repeats || c.before_seconds <= 0) return c;
  c.band = std::max(least_band, std::hypot(noise_of(before), noise_of(after)));
  const double bound = 1 + c.band;
  c.what = c.after_seconds > c.before_seconds * bound   ? verdict::regressed
           : c.after_seconds < c.before_seconds / bound ? verdict::improved
                                                        : verdict::unchanged;
  return c;
}

bool is_disturbed(const run_record& run) noexcept {
  return run.cores_used_by_others > disturbing_share * run.cores;
}

result<comparison> compare(const run_record& before, const run_record& after) {
  if (before.gpu.simulated != after.gpu.simulated)
    return error{ec::invalid_argument, "One run had a simulated GPU and the other a real one; "
                                       "their times cannot be compared."};
  comparison all;
  for (const auto& record : before.cases) {
    if (const auto* other = after.find(record.name))
      add_lines(record, *other, all.lines);
    else
      all.only_before.push_back(record.name);
  }
  for (const auto& record : after.cases)
    if (!before.find(record.name)) all.only_after.push_back(record.name);
  if (all.lines.empty())
    return error{ec::invalid_argument, "The two runs have no measured case in common."};
  warn_of_neighbours(all.warnings, "before", before);
  warn_of_neighbours(all.warnings, "after", after);
  warn(all.warnings, "processor", before.processor, after.processor);
  warn(all.warnings, "number of cores", std::to_string(before.cores), std::to_string(after.cores));
  warn(all.warnings, "instruction set", before.instruction_set, after.instruction_set);
  warn(all.warnings, "GPU", before.gpu.model, after.gpu.model);
  warn(all.warnings, "driver", before.gpu.driver, after.gpu.driver);
  return all;
}

} // namespace engram::bench
