#include "engram/bench/gpu/derived.hpp"
#include "engram/bench/gpu/report.hpp"
#include "engram/bench/gpu/statistics.hpp"

#include <cstdio>

namespace engram::bench {

namespace {

// What the guide says of an A100: at most 10 million vectors a second, and 26 times its own CPU
// baseline on 10,000 vectors; that baseline takes 2.1 us a vector (2.1 ms for 1,024).
constexpr double guide_vectors_per_second = 10e6;
constexpr double guide_speedup = 26;
constexpr double guide_cpu_seconds_per_vector = 2.1e-6;

std::string number(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

const char* mark(const run_record& run) {
  return run.gpu.simulated ? " (simulated)" : "";
}

/// Returns how `measured` compares with what has to be exceeded.
std::string against(double measured, double wanted) {
  return measured > wanted ? number("exceeded %.1f times over", measured / wanted)
                           : number("NOT exceeded: %.2f of it", measured / wanted);
}

std::string against_baseline(const run_record& run, const std::string& name) {
  const auto* record = run.find(name);
  const auto* gpu = record ? record->series("gpu") : nullptr;
  if (!gpu) return {};
  const auto vectors = static_cast<double>(record->size ? record->size : 10'240);
  const double speedup = guide_cpu_seconds_per_vector * vectors / median(*gpu);
  auto text = "  " + name + ": " + number("%.0fx its CPU baseline, wanted 26x: ", speedup) +
              against(speedup, guide_speedup);
  if (const auto own = speedup_of(*record)) text += number("; %.1fx our own CPU", *own);
  return text + mark(run) + '\n';
}

std::string rate_line(const run_record& run, const std::string& name, double rate) {
  return "  " + name + ": " + number("%.1fM vectors/s, wanted 10M: ", rate / 1e6) +
         against(rate, guide_vectors_per_second) + mark(run) + '\n';
}

std::string rate_of_one(const run_record& run, const std::string& name) {
  const auto* record = run.find(name);
  const auto* gpu = record ? record->series("gpu") : nullptr;
  if (!gpu) return {};
  return rate_line(run, name, static_cast<double>(record->size) / median(*gpu));
}

std::string rate_of_flood(const run_record& run) {
  const auto* record = run.find("pipeline/throughput/102400x768/bf16");
  if (!record || !record->series("gpu")) return {};
  const auto name =
      record->name + number(" (%.0f %% by the GPU)", 100 * record->figures.at("gpu_share"));
  return rate_line(run, name, record->figures.at("vectors_per_second"));
}

} // namespace

std::string guide_text(const run_record& run) {
  std::string text;
  for (const auto* name : {"cosine_similarity_cpu_vs_gpu/10240", "cosine_search_resident/10240",
                           "pipeline/search/10240x768/f32/q1"})
    text += against_baseline(run, name);
  for (const auto* name : {"cosine_similarity_cpu_vs_gpu/10240", "cosine_search_resident/10240",
                           "cosine_search_resident/102400"})
    text += rate_of_one(run, name);
  text += rate_of_flood(run);
  if (text.empty()) return {};
  return "The guide's figures of an A100: 26x its own CPU baseline of 2.1 us a vector on 10k "
         "vectors, "
         "10M vectors/s\n" +
         text + '\n';
}

} // namespace engram::bench
