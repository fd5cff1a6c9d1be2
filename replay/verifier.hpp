#pragma once

#include "engram/devices/work.hpp"
#include "engram/replay/request_pool.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace engram::replay {

/// Returns the one-request batch that answers `what`, for the reference.
work_batch batch_of(const request& what, const dataset_ptr& data);

/// Says where `got` differs from `expected`; nothing when they are equal.
std::optional<std::string> difference(operation op, const item_output& got,
                                      const item_output& expected);

/// What came of comparing sampled answers with the reference.
struct verification {
  std::uint64_t checked = 0;
  std::uint64_t wrong = 0; ///< but for what was made wrong on purpose
  /// Made wrong on purpose by a site that corrupts results: of a device's wrong answers at most as
  /// many as its site changed.
  std::uint64_t made_wrong = 0;
  std::uint64_t skipped = 0;         ///< sampled, but there was no room or no time to compare them
  std::vector<std::string> examples; ///< the first few that differ, one sentence each
  std::map<std::string, std::uint64_t> differing; ///< by the device that answered
};

/// Takes out of `wrong` what was made so: `changed` are results that were corrupted on purpose, by
/// device.
void excuse(verification& what, const std::map<std::string, std::uint64_t>& changed);

/// Compares answers with the scalar reference, bit by bit, on a thread of its own that runs when
/// nobody else wants the processor, until it is told to hurry. Holds at most 256 MiB of waiting
/// answers. Thread-safe.
class verifier {
public:
  explicit verifier(const request_pool& pool);
  ~verifier();

  /// Takes the answer of `device` to request `number`, which was variant `variant` of load `load`.
  void check(std::uint64_t number, std::uint32_t load, std::uint32_t variant, std::string device,
             item_output output);
  std::size_t waiting() const;
  /// Says that the load is over: it need not give way any more.
  void hurry();
  /// Compares what is waiting, for at most `limit`, and returns the outcome. Call it once, at the
  /// end.
  verification finish(std::chrono::milliseconds limit);

private:
  struct sample {
    std::uint64_t number;
    std::uint32_t load;
    std::uint32_t variant;
    std::string device;
    item_output output;
  };

  void work(std::stop_token stop);
  void compare(const sample& what);
  const item_output& expected(std::uint32_t load, std::uint32_t variant);

  const request_pool& pool_;
  /// Reference answers by load and variant. Used by the thread alone.
  std::map<std::pair<std::uint32_t, std::uint32_t>, item_output> references_;

  mutable std::mutex mutex_; ///< guards what follows
  std::condition_variable_any changed_;
  std::deque<sample> waiting_;
  std::size_t waiting_bytes_ = 0;
  bool busy_ = false;
  verification so_far_;

  std::jthread thread_; ///< last: it uses all of the above
};

} // namespace engram::replay
