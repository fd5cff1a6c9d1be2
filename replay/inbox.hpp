#pragma once

#include "engram/actors/answer.hpp"
#include "engram/replay/send_log.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace engram::replay {

/// One call of a request's callback. Small, because there is one for every request.
struct outcome {
  /// What only some answers have.
  struct details {
    std::string cause;   ///< of a fallback
    std::string message; ///< of an error
    item_output output;  ///< of a sampled request
  };

  const sent_request* request = nullptr;
  std::int64_t answered_ns = 0; ///< from the start of the warm-up
  bool repeated = false;        ///< the request had been answered before
  bool fell_back = false;
  ec code = ec::none;
  route_reason reason = route_reason::no_gpu;
  std::string device; ///< as answer_trace has it
  std::unique_ptr<details> more;
};

/// Takes outcomes from the target's threads at the cost of a rarely contended lock. Thread-safe.
class inbox {
public:
  void put(outcome what) {
    auto& shard =
        shards_[std::hash<std::thread::id>{}(std::this_thread::get_id()) % shards_.size()];
    std::lock_guard hold{shard.mutex};
    shard.outcomes.push_back(std::move(what));
  }
  /// Returns everything that came since the last call; those of one thread in their order.
  std::vector<outcome> take() {
    std::vector<outcome> all;
    for (auto& shard : shards_) {
      std::vector<outcome> taken;
      {
        std::lock_guard hold{shard.mutex};
        taken.swap(shard.outcomes);
      }
      for (auto& each : taken)
        all.push_back(std::move(each));
    }
    return all;
  }

private:
  struct alignas(64) shard_type {
    std::mutex mutex;
    std::vector<outcome> outcomes;
  };
  std::array<shard_type, 8> shards_;
};

} // namespace engram::replay
