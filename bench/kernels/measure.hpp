#pragma once

/// Timing several cases against each other in one run.

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace engram::bench {

/// Something to time, and the seconds that its repeats took.
struct timed_case {
  std::string name;
  std::function<void()> body;
  std::vector<double> seconds = {};

  double minimum() const { return *std::min_element(seconds.begin(), seconds.end()); }
  double maximum() const { return *std::max_element(seconds.begin(), seconds.end()); }
  double median() const {
    auto sorted = seconds;
    std::sort(sorted.begin(), sorted.end());
    const std::size_t middle = sorted.size() / 2;
    return sorted.size() % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
};

inline double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Runs every case once to warm up, then `repeats` rounds of all cases in turn, so that what
/// disturbs the machine disturbs all of them. Short pauses let a peer's idle threads stop spinning.
inline void measure(std::vector<timed_case>& cases, int repeats) {
  for (auto& c : cases)
    c.body();
  for (int round = 0; round < repeats; ++round)
    for (auto& c : cases) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      c.seconds.push_back(seconds_of(c.body));
    }
}

inline nlohmann::json to_json(const timed_case& c) {
  return {{"name", c.name},
          {"median_seconds", c.median()},
          {"min_seconds", c.minimum()},
          {"max_seconds", c.maximum()},
          {"repeats", c.seconds.size()}};
}

} // namespace engram::bench
