#include "engram/bench/gpu/report.hpp"

#include "engram/bench/gpu/derived.hpp"
#include "engram/bench/gpu/statistics.hpp"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>

namespace engram::bench {

namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  std::array<char, 512> line{};
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(line.data(), line.size(), pattern, arguments);
  va_end(arguments);
  return line.data();
}

const char* mark(const run_record& run) {
  return run.gpu.simulated ? " (simulated)" : "";
}

std::string both_percentiles(const std::vector<double>& seconds) {
  return time_text(median(seconds)) + " (P50), " + time_text(quantile(seconds, 0.99)) + " (P99)";
}

std::string count_text(double count) {
  return count >= 1e6   ? format("%.1fM", count / 1e6)
         : count >= 1e4 ? format("%.0fk", count / 1e3)
                        : format("%.0f", count);
}

std::string break_even_text(const break_even& even, const std::string& unit) {
  const auto size = std::to_string(even.size) + ' ' + unit;
  switch (even.what) {
  case break_even::kind::at:
    return size;
  case break_even::kind::always:
    return "at most " + size + ", the smallest measured";
  case break_even::kind::never:
    return "more than " + size + ", the largest measured";
  case break_even::kind::unknown:
    break;
  }
  return "not known from one size; run the whole family";
}

/// Returns the lines that only some cases have.
std::string figures_text(const run_record& run, const case_record& record) {
  std::string text;
  const auto figure = [&](const char* name) {
    const auto found = record.figures.find(name);
    return found == record.figures.end() ? nullptr : &found->second;
  };
  if (const auto* hop = figure("kernel_seconds_per_hop"))
    text +=
        format("  Per dense hop: %s with seeding and selection shared out, %s between dense "
               "hops%s\n",
               time_text(*hop).c_str(),
               time_text(record.figures.at("marginal_kernel_seconds_per_hop")).c_str(), mark(run));
  if (const auto* rate = figure("vectors_per_second"))
    text += format("  Rate: %s requests/s, %s vectors/s, %.1f %% answered by the GPU%s\n",
                   count_text(record.figures.at("requests_per_second")).c_str(),
                   count_text(*rate).c_str(), 100 * record.figures.at("gpu_share"), mark(run));
  return text;
}

std::string device_text(const run_record& run, const case_record& record) {
  const auto* kernel = record.series("kernel");
  const auto* transfer = record.series("transfer");
  if (!kernel || !transfer) return {};
  return format("  On the device: kernel %s, transfer %s (P50)%s\n",
                time_text(median(*kernel)).c_str(), time_text(median(*transfer)).c_str(),
                mark(run));
}

std::string case_text(const run_record& run, const case_record& record, const break_even& even) {
  auto text = record.title + ":  [" + record.name + "]\n";
  if (const auto* cpu = record.series("cpu")) text += "  CPU: " + both_percentiles(*cpu) + '\n';
  if (const auto* gpu = record.series("gpu"))
    text += "  GPU: " + both_percentiles(*gpu) + mark(run) + '\n';
  if (const auto speedup = speedup_of(record)) {
    text += format("  Speedup: %.1fx%s\n", *speedup, mark(run));
    if (!record.unit.empty())
      text += "  Break-even: " + break_even_text(even, record.unit) + mark(run) + '\n';
  }
  text += device_text(run, record) + figures_text(run, record);
  if (!record.trouble.empty()) text += "  TROUBLE: " + record.trouble + '\n';
  return text + '\n';
}

std::string share_line(const char* branch, const char* what, double seconds, double total) {
  return format("%s %s: %s (%.0f%%)\n", branch, what, time_text(seconds).c_str(),
                100 * seconds / total);
}

/// Returns what to do about the largest share.
std::string reading(const time_shares& s) {
  const auto percent = [&](double part) { return format("%.0f%%", 100 * part / s.total); };
  const double most = std::max({s.kernel, s.transfer, s.launch, s.idle});
  if (most == s.idle)
    return "GPU is idle " + percent(s.idle) +
           " of the time\n→ larger batches, or more of them at once\n";
  if (most == s.transfer)
    return "copies take " + percent(s.transfer) +
           " of the time\n→ keep the data resident, or store it in 16 bits\n";
  if (most == s.launch)
    return "launches take " + percent(s.launch) + " of the time\n→ larger batches\n";
  return "kernels take " + percent(s.kernel) +
         " of the time\n→ the GPU computes; only faster kernels or less work would help\n";
}

std::string profile_text(const run_record& run, const std::string& family) {
  const auto s = shares_of_family(run, family);
  if (!s || s->total <= 0) return {};
  return format("Where the time went, %s%s\n", family.c_str(), mark(run)) +
         format("Total Time: %s\n", time_text(s->total).c_str()) +
         share_line("├─", "Kernel Execution", s->kernel, s->total) +
         share_line("├─", "Memory Transfer", s->transfer, s->total) +
         share_line("├─", "Launch Overhead", s->launch, s->total) +
         share_line("└─", "Idle", s->idle, s->total) + "Bottleneck: " + reading(*s) + '\n';
}

std::string comparison_line_text(const comparison_line& line) {
  const auto& c = line.result;
  const auto band = c.what == verdict::undecided ? std::string{"too few repeats"}
                                                 : format("%.1f %%", 100 * c.band);
  return format("%-46s %-7s %9s %9s %+8.1f %%  %15s  %s\n", line.name.c_str(), line.series.c_str(),
                time_text(c.before_seconds).c_str(), time_text(c.after_seconds).c_str(),
                100 * c.relative, band.c_str(), std::string{to_string(c.what)}.c_str());
}

std::string missing_text(const char* where, const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names)
    text += std::string{"only in "} + where + ": " + name + '\n';
  return text;
}

} // namespace

std::string time_text(double seconds) {
  const auto digits = [](double value, const char* unit) {
    return format(value < 10 ? "%.2f %s" : value < 100 ? "%.1f %s" : "%.0f %s", value, unit);
  };
  if (seconds < 999.5e-6) return digits(seconds * 1e6, "us");
  if (seconds < 999.5e-3) return digits(seconds * 1e3, "ms");
  return digits(seconds, "s");
}

std::string header_text(const run_record& run) {
  auto text = format("engram %s, commit %s, %s\n", run.version.c_str(), run.commit.c_str(),
                     run.taken.c_str());
  text += format("CPU: %s, %u cores, %s kernels, %s, %s\n", run.processor.c_str(), run.cores,
                 run.instruction_set.c_str(), run.kernel.c_str(), run.compiler.c_str());
  text += format("GPU: %s%s, %.0f GiB%s%s\n", run.gpu.model.c_str(), mark(run),
                 static_cast<double>(run.gpu.memory_bytes) / (1u << 30),
                 run.gpu.driver.empty() ? "" : ", driver ", run.gpu.driver.c_str());
  if (run.gpu.simulated)
    text += "The GPU is SIMULATED: its times come from a profile and measure nothing.\n";
  return text + '\n';
}

std::string family_text(const run_record& run, const std::string& family) {
  const auto even = break_even_of(run, family);
  std::string text;
  for (const auto& record : run.cases)
    if (record.family == family) text += case_text(run, record, even);
  return text + profile_text(run, family);
}

std::string neighbours_text(const run_record& run) {
  if (!is_disturbed(run)) return {};
  return format("WARNING: other programs kept %.1f of %u cores busy; times are longer for it.\n",
                run.cores_used_by_others, run.cores);
}

std::string comparison_text(const comparison& all, const std::string& before,
                            const std::string& after) {
  auto text = "Comparison: " + before + " -> " + after + '\n';
  for (const auto& each : all.warnings)
    text += "WARNING: " + each + "; the verdicts judge more than the code.\n";
  text += format("%-46s %-7s %9s %9s %10s  %15s  %s\n", "case", "series", "before", "after",
                 "change", "noise band", "verdict");
  for (const auto& line : all.lines)
    text += comparison_line_text(line);
  return text + missing_text("before", all.only_before) + missing_text("after", all.only_after);
}

} // namespace engram::bench
