#pragma once

#include "engram/actors/answer.hpp"
#include "engram/base/clock.hpp"
#include "engram/service/oip/models.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

namespace engram {

/// How inferences of one model went.
struct model_statistics {
  std::uint64_t last_inference_ms = 0; ///< since 1970; 0: none yet
  std::uint64_t inference_count = 0;   ///< queries, seed sets or similarity queries served
  double execution_shares = 0;         ///< of each batch the share that served them
  std::uint64_t successes = 0, failures = 0;
  duration success_time{}, failure_time{};
  /// Waiting for company and a device; going to the device; computing; the rest until the answer.
  duration queue_time{}, input_time{}, infer_time{}, output_time{};

  /// Returns the number of batches that served them.
  std::uint64_t executions() const noexcept {
    return static_cast<std::uint64_t>(std::ceil(execution_shares));
  }
};

/// Counts the inferences that come over the Open Inference Protocol, for each model since its
/// present version was published. Thread-safe.
class inference_statistics {
public:
  using system_time = std::chrono::system_clock::time_point;

  /// Counts an inference that took `elapsed` from its arrival: served by `answers`, or failed where
  /// one of them is not ok.
  void count(const served_model& model, std::span<const answer> answers, duration elapsed,
             system_time now);
  /// Returns what was counted for this version of `model`.
  model_statistics of(const served_model& model) const;

private:
  struct entry {
    std::uint64_t key = 0; ///< of the dataset
    model_statistics numbers;
  };
  mutable std::mutex mutex_;
  std::map<std::string, entry, std::less<>> by_model_;
};

} // namespace engram
