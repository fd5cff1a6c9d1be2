#pragma once

#include "engram/pipeline/pipeline.hpp"
#include "engram/service/dataset_lookup.hpp"
#include "engram/service/grpc/open_calls.hpp"

#include <atomic>

namespace engram {

/// What the services of the gRPC door share. Thread-safe; outlives their calls.
class grpc_door {
public:
  explicit grpc_door(pipeline& pipe) : pipe_(pipe) {}

  pipeline& pipe() const noexcept { return pipe_; }
  label_finder& labels() noexcept { return labels_; }
  open_calls& calls() noexcept { return calls_; }

  /// Returns true if requests are taken, and nobody says otherwise.
  bool is_ready() const { return !is_held_ && pipe_.health().ready; }
  void hold_readiness(bool is_held) noexcept { is_held_ = is_held; }

private:
  pipeline& pipe_;
  label_finder labels_;
  open_calls calls_;
  std::atomic<bool> is_held_{false};
};

} // namespace engram
