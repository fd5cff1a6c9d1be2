#pragma once

/// The Open Inference Protocol's things as the messages of service/proto/inference.proto.

#include "engram/service/oip/inference.hpp"
#include "engram/service/oip/inference_server.hpp"
#include "engram/service/oip/models.hpp"
#include "engram/service/oip/statistics.hpp"

#include <inference.pb.h>

#include <memory>

namespace engram {

/// Reads an inference. Tensors stay in the message, which `owner` keeps, or are copied from the
/// shared memory `regions` that they are said to lie in. `invalid_argument` and `not_found` name
/// the tensor or the region.
result<infer_request> decode_inference(const inference::ModelInferRequest& in,
                                       const std::shared_ptr<const void>& owner,
                                       const shared_memory_regions& regions);

/// Writes the outputs as raw bytes, each at its place among the raw contents; what went to shared
/// memory is empty there.
void encode(const infer_response& from, inference::ModelInferResponse& out);

void encode_metadata(const served_model& model, inference::ModelMetadataResponse& out);
void encode_config(const served_model& model, inference::ModelConfig& out);
void encode_statistics(const served_model& model, const model_statistics& numbers,
                       inference::ModelStatistics& out);

} // namespace engram
