#pragma once

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/dataset_lookup.hpp"

#include <mutex>
#include <string>
#include <utility>

namespace engram {

/// What the groups of HTTP routes share. Thread-safe; outlives their requests.
class http_door {
public:
  explicit http_door(pipeline& pipe) : pipe_(pipe) {}

  pipeline& pipe() const noexcept { return pipe_; }
  label_finder& labels() noexcept { return labels_; }

  /// Makes readiness say no with `state` as the reason; empty: the pipeline's own shows. It is held
  /// from the beginning.
  void hold_readiness(std::string state) {
    const std::lock_guard lock{mutex_};
    held_state_ = std::move(state);
  }
  std::string held_state() const {
    const std::lock_guard lock{mutex_};
    return held_state_;
  }

private:
  pipeline& pipe_;
  label_finder labels_;
  mutable std::mutex mutex_;
  std::string held_state_ = "loading";
};

} // namespace engram
