#pragma once

/// Records of runs that never were.

#include "engram/bench/gpu/record.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace engram::bench {

/// Returns repeats that scatter evenly around `seconds` by up to `scatter` of it.
inline std::vector<double> repeats_of(double seconds, double scatter, std::size_t count,
                                      std::uint32_t seed) {
  std::mt19937 random{seed};
  std::vector<double> values;
  for (std::size_t i = 0; i < count; ++i) {
    const double part = static_cast<double>(random()) / 4294967295.0;
    values.push_back(seconds * (1 + scatter * (2 * part - 1)));
  }
  return values;
}

inline case_record record_of(const std::string& family, std::uint64_t size, double cpu_seconds,
                             double gpu_seconds) {
  return {.name = family + '/' + std::to_string(size),
          .family = family,
          .title = "Case (" + std::to_string(size) + " vectors)",
          .unit = "vectors",
          .size = size,
          .seconds = {{"cpu", repeats_of(cpu_seconds, 0.01, 100, 1)},
                      {"gpu", repeats_of(gpu_seconds, 0.01, 100, 2)}},
          .figures = {},
          .trouble = {}};
}

inline run_record run_of(std::vector<case_record> cases) {
  return {.version = "0.1.0",
          .commit = "0123abc",
          .taken = "2026-01-02T03:04:05Z",
          .processor = "a processor",
          .cores = 16,
          .cores_used_by_others = 0.25,
          .kernel = "a system",
          .compiler = "a compiler",
          .instruction_set = "avx512",
          .gpu = {.name = "cuda:0",
                  .model = "a GPU",
                  .driver = "580.1",
                  .memory_bytes = 80,
                  .simulated = false},
          .cases = std::move(cases)};
}

} // namespace engram::bench
