#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/latency_histogram.hpp"

#include <engram.grpc.pb.h>

#include <cstddef>
#include <cstdint>

namespace engram::bench {

/// What a load generator saw.
struct load_result {
  double requests_per_second = 0;
  std::uint64_t failed = 0;
};

/// Keeps `concurrency` unary calls under way for `seconds`.
load_result unary_load(v1::Engram::Stub& stub, const v1::SimilarityRequest& what,
                       std::size_t concurrency, double seconds);

struct stream_shape {
  std::size_t per_message = 1; ///< requests
  std::size_t window = 64;     ///< requests under way on the stream
};

/// Keeps one stream full for `seconds`.
load_result stream_load(v1::Engram::Stub& stub, const v1::SimilarityRequest& what,
                        stream_shape shape, double seconds);

/// Sends `rate` requests a second on one stream, a message when `per_message` of them are due, and
/// notes for each the time from when its message was due, and what of it passed outside the
/// pipeline by its own trace.
struct paced_result {
  load_result load;
  latency_histogram response, outside;
};
void paced_stream_load(v1::Engram::Stub& stub, const v1::SimilarityRequest& what,
                       std::size_t per_message, double rate, double seconds, paced_result& out);

} // namespace engram::bench
