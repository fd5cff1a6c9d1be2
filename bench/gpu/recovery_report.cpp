#include "engram/bench/gpu/recovery_report.hpp"

#include "engram/bench/gpu/report.hpp"
#include "engram/bench/gpu/statistics.hpp"

#include <nlohmann/json.hpp>

#include <cstdarg>
#include <cstdio>

namespace engram::bench {

namespace {

constexpr double p99 = 0.99;

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

/// Returns seconds as milliseconds with three digits that count, or "-".
std::string milliseconds(double seconds, bool is_known) {
  const double ms = seconds * 1e3;
  if (!is_known) return "-";
  return format(ms < 1 ? "%.3f" : ms < 10 ? "%.2f" : ms < 100 ? "%.1f" : "%.0f", ms);
}

std::string p50_and_p99(const std::vector<double>& seconds) {
  if (seconds.empty()) return "-";
  return milliseconds(median(seconds), true) + " / " + milliseconds(quantile(seconds, p99), true);
}

std::string bytes_text(const std::optional<double>& bytes) {
  if (!bytes) return "-";
  return *bytes < 1e6 ? format("%.0f", *bytes) : format("%.0f MB", *bytes / 1e6);
}

double ratio_of(const recovery_row& row, double cpu_only_p99) {
  return cpu_only_p99 > 0 ? row.in_faults.p99 / cpu_only_p99 : 0;
}

constexpr const char* columns = "%-21s %6s %5s %5s %5s %5s  %-17s %-17s %9s %9s %9s %6s  %s\n";

} // namespace

std::vector<std::string> shortcomings(const recovery_row& row, double cpu_only_p99, bool simulated,
                                      const recovery_bounds& bounds) {
  std::vector<std::string> found;
  if (!row.trouble.empty()) found.push_back(row.trouble);
  if (!row.load.is_clean()) found.push_back("not every request got its one right answer");
  if (!row.kind.loses_data && row.uploaded_bytes.value_or(0) > 0)
    found.push_back("data was uploaded again");
  if (simulated || !row.kind.is_sticky) return found;
  if (!row.uploaded_bytes && row.trouble.empty())
    found.push_back("nobody said how much was uploaded again");
  const auto check = [&](const char* what, double measured, double most, const char* unit) {
    if (measured > most) found.push_back(format("%s %.3g > %.3g%s", what, measured, most, unit));
  };
  const double back = row.cold ? bounds.cold_back_seconds : bounds.back_seconds;
  check("detected p99", quantile(row.detect_seconds, p99) * 1e3, bounds.detect_seconds * 1e3,
        " ms");
  check("back p99", quantile(row.back_seconds, p99) * 1e3, back * 1e3, " ms");
  check("callers' p99 / CPU-only", ratio_of(row, cpu_only_p99), bounds.callers_over_cpu_only, "");
  return found;
}

std::string recovery_head(const recovery_run& run) {
  auto text = header_text(run.header);
  text += format("%.0f searches/s at Poisson times, of %llu x %llu bf16 vectors, isolation \"%s\"; "
                 "times in ms: "
                 "p50 / p99\n",
                 run.settings.rate, static_cast<unsigned long long>(run.settings.rows),
                 static_cast<unsigned long long>(run.settings.dim), run.settings.isolation.c_str());
  text += format("the same load on the CPU alone: p50 %s, p99 %s\n\n",
                 milliseconds(run.cpu_only.p50, true).c_str(),
                 milliseconds(run.cpu_only.p99, true).c_str());
  return text + format(columns, "fault", "count", "lost", "dup", "wrong", "error", "detected",
                       "GPU back", "uploaded", "callers'", "CPU-only", "ratio", "verdict");
}

std::string recovery_line(const recovery_run& run, const recovery_row& row) {
  const auto number = [](std::uint64_t n) { return std::to_string(n); };
  const bool has_callers = row.in_faults.count > 0;
  std::string verdict;
  for (const auto& each : shortcomings(row, run.cpu_only.p99, run.header.gpu.simulated))
    verdict += (verdict.empty() ? "NOT MET: " : "; ") + each;
  if (verdict.empty()) verdict = run.header.gpu.simulated ? "zeros met (simulated)" : "met";
  if (row.unseen) verdict += format("; %u went unseen", row.unseen);
  auto text = format(
      columns, row.fault.c_str(), number(row.happened).c_str(), number(row.load.lost).c_str(),
      number(row.load.duplicated).c_str(), number(row.load.wrong).c_str(),
      number(row.load.errors).c_str(), p50_and_p99(row.detect_seconds).c_str(),
      p50_and_p99(row.back_seconds).c_str(), bytes_text(row.uploaded_bytes).c_str(),
      milliseconds(row.in_faults.p99, has_callers).c_str(),
      milliseconds(run.cpu_only.p99, true).c_str(),
      has_callers ? format("%.2f", ratio_of(row, run.cpu_only.p99)).c_str() : "-", "");
  text.pop_back();
  text += verdict + '\n';
  for (const auto& each : row.load.examples)
    text += "    " + each + '\n';
  return text;
}

std::string recovery_tail(const recovery_run& run) {
  std::uint64_t sent = 0, by_gpu = 0, fell_back = 0;
  for (const auto& row : run.faults) {
    sent += row.load.sent;
    by_gpu += row.load.by_gpu;
    fell_back += row.load.fell_back;
  }
  return format("\n%llu requests, each answer compared with the reference to the bit; %llu "
                "answered by the GPU, "
                "%llu by the CPU after the GPU had failed them\n",
                static_cast<unsigned long long>(sent), static_cast<unsigned long long>(by_gpu),
                static_cast<unsigned long long>(fell_back));
}

std::string to_json(const recovery_run& run) {
  using nlohmann::json;
  auto faults = json::array();
  for (const auto& row : run.faults)
    faults.push_back(
        {{"fault", row.fault},
         {"wanted", row.wanted},
         {"happened", row.happened},
         {"unseen", row.unseen},
         {"sent", row.load.sent},
         {"lost", row.load.lost},
         {"duplicated", row.load.duplicated},
         {"wrong", row.load.wrong},
         {"errors", row.load.errors},
         {"by_gpu", row.load.by_gpu},
         {"fell_back", row.load.fell_back},
         {"detect_seconds", row.detect_seconds},
         {"back_seconds", row.back_seconds},
         {"uploaded_bytes", row.uploaded_bytes ? json(*row.uploaded_bytes) : json()},
         {"callers",
          {{"count", row.in_faults.count},
           {"p50_seconds", row.in_faults.p50},
           {"p99_seconds", row.in_faults.p99}}},
         {"ratio", ratio_of(row, run.cpu_only.p99)},
         {"examples", row.load.examples},
         {"shortcomings", shortcomings(row, run.cpu_only.p99, run.header.gpu.simulated)}});
  const json all{{"version", run.header.version},
                 {"commit", run.header.commit},
                 {"taken", run.header.taken},
                 {"processor", run.header.processor},
                 {"cores", run.header.cores},
                 {"gpu",
                  {{"name", run.header.gpu.name},
                   {"model", run.header.gpu.model},
                   {"simulated", run.header.gpu.simulated}}},
                 {"rate", run.settings.rate},
                 {"rows", run.settings.rows},
                 {"dim", run.settings.dim},
                 {"isolation", run.settings.isolation},
                 {"cpu_only",
                  {{"count", run.cpu_only.count},
                   {"p50_seconds", run.cpu_only.p50},
                   {"p99_seconds", run.cpu_only.p99}}},
                 {"faults", faults}};
  return all.dump(2) + '\n';
}

} // namespace engram::bench
