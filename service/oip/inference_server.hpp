#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/config/options.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/oip/inference.hpp"
#include "engram/service/oip/shared_memory.hpp"
#include "engram/service/oip/statistics.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace engram {

/// Serves the Open Inference Protocol's models on a pipeline, whichever door a call comes through.
/// One for all doors, so that statistics and shared memory are the same on each. Thread-safe;
/// outlives what it was asked.
class inference_server {
public:
  /// The inputs of an inference that lie in shared memory have at most `max_body_bytes`, as have
  /// those in its message.
  inference_server(pipeline& pipe, oip_options options, std::uint64_t max_body_bytes)
      : pipe_(pipe), options_(options), regions_(std::move(options), max_body_bytes) {}

  /// Takes an inference back; may outlive it.
  class ticket {
  public:
    void cancel() const;

  private:
    friend class inference_server;
    std::weak_ptr<void> call_;
  };
  using done = std::function<void(result<infer_response>)>;

  /// Calls `then` exactly once, on any thread, with the outputs or what failed; it must not block.
  ticket infer(infer_request in, done then);

  pipeline& pipe() const noexcept { return pipe_; }
  shared_memory_regions& regions() noexcept { return regions_; }
  const inference_statistics& statistics() const noexcept { return statistics_; }
  /// Returns the extensions of the protocol that are served, by Triton's names.
  std::vector<std::string> extensions() const;

private:
  class call;

  pipeline& pipe_;
  const oip_options options_;
  shared_memory_regions regions_;
  inference_statistics statistics_;
  steady_clock_source clock_;
};

} // namespace engram
