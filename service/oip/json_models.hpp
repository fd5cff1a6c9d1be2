#pragma once

/// What the Open Inference Protocol tells of the server and its models, as JSON in the words that
/// clients of NVIDIA Triton read.

#include "engram/base/error.hpp"
#include "engram/service/oip/inference_server.hpp"
#include "engram/service/oip/models.hpp"
#include "engram/service/oip/shared_memory.hpp"
#include "engram/service/oip/statistics.hpp"

#include <iosfwd>
#include <span>
#include <string>
#include <string_view>

namespace engram {

/// Returns {name, version, extensions}.
std::string server_metadata_json(const inference_server& server);
/// Returns {name, versions, platform, inputs, outputs}.
std::string metadata_json(const served_model& model);
/// Returns the configuration, with the tensors' shapes without the batch.
std::string config_json(const served_model& model);
/// Returns {model_stats: [..]} with every field that clients want, whether it counts here or not.
std::string statistics_json(std::span<const served_model> models,
                            const inference_statistics& statistics);
/// Returns [{name, version, state, reason}]; every model is ready.
std::string index_json(std::span<const served_model> models);

/// Returns [{name, key, offset, byte_size}].
std::string regions_json(std::span<const shared_memory_regions::region> regions);
/// Reads the body of a registration, {key, offset, byte_size}. `invalid_argument` names the field.
result<shared_memory_regions::region> read_region(std::string name, std::istream& body);

} // namespace engram
