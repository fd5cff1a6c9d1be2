#pragma once

#include "engram/base/error.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/dataset_lookup.hpp"

#include <grpcpp/server_context.h>

#include <atomic>
#include <cstddef>

namespace engram {

/// What the services of the gRPC door share. Thread-safe; outlives their calls.
class grpc_door {
public:
  explicit grpc_door(pipeline& pipe) : pipe_(pipe) {}

  pipeline& pipe() const noexcept { return pipe_; }
  label_finder& labels() noexcept { return labels_; }

private:
  pipeline& pipe_;
  label_finder labels_;
};

} // namespace engram
