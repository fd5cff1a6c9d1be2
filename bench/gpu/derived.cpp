#include "engram/bench/gpu/derived.hpp"

#include "engram/bench/gpu/statistics.hpp"

#include <algorithm>

namespace engram::bench {

std::optional<double> speedup_of(const case_record& record) {
  const auto* cpu = record.series("cpu");
  const auto* gpu = record.series("gpu");
  if (!cpu || !gpu || median(*gpu) <= 0) return std::nullopt;
  return median(*cpu) / median(*gpu);
}

std::optional<time_shares> shares_of(const case_record& record) {
  const auto* wall = record.series("gpu");
  const auto* transfer = record.series("transfer");
  const auto* kernel = record.series("kernel");
  const auto* device = record.series("device");
  if (!wall || !transfer || !kernel || !device) return std::nullopt;
  time_shares all;
  const auto runs = std::min({wall->size(), transfer->size(), kernel->size(), device->size()});
  for (std::size_t i = 0; i < runs; ++i) {
    all.kernel += (*kernel)[i];
    all.transfer += (*transfer)[i];
    // Copies that overlap a kernel can make the parts longer than the whole.
    all.launch += std::max(0.0, (*device)[i] - (*transfer)[i] - (*kernel)[i]);
    all.idle += std::max(0.0, (*wall)[i] - (*device)[i]);
    all.total += (*wall)[i];
  }
  return all;
}

std::optional<time_shares> shares_of_family(const run_record& run, const std::string& family) {
  std::optional<time_shares> sum;
  for (const auto& record : run.cases) {
    if (record.family != family) continue;
    const auto shares = shares_of(record);
    if (!shares) continue;
    if (!sum) sum.emplace();
    sum->kernel += shares->kernel;
    sum->transfer += shares->transfer;
    sum->launch += shares->launch;
    sum->idle += shares->idle;
    sum->total += shares->total;
  }
  return sum;
}

std::vector<std::string> families_of(const run_record& run) {
  std::vector<std::string> families;
  for (const auto& record : run.cases)
    if (std::find(families.begin(), families.end(), record.family) == families.end())
      families.push_back(record.family);
  return families;
}

break_even break_even_of(const run_record& run, const std::string& family) {
  std::vector<sweep_point> sweep;
  for (const auto& record : run.cases)
    if (record.family == family && !record.unit.empty() && speedup_of(record))
      sweep.push_back({record.size, median(*record.series("cpu")), median(*record.series("gpu"))});
  std::sort(sweep.begin(), sweep.end(),
            [](const auto& a, const auto& b) { return a.size < b.size; });
  return find_break_even(sweep);
}

} // namespace engram::bench
