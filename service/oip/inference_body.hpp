#pragma once

#include "engram/base/error.hpp"
#include "engram/service/oip/inference.hpp"
#include "engram/service/oip/shared_memory.hpp"

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

namespace engram {

/// Reads the body of an inference over HTTP, to its end: a JSON object, and behind it the binary
/// data of the inputs that say how many bytes of it are theirs (`binary_data_size`), in the order
/// of the inputs. `json_bytes` is how long the object is, nothing if it is the whole body;
/// `most_bytes` is what the body may have in all, and bounds what is set aside for it.
///
/// Numbers go straight to where the batch can use them: no tree is made of the JSON, and binary
/// data is read to where it stays. Inputs in shared memory are copied from `regions`. Model and
/// version are left empty: they are not in the body.
///
/// `invalid_argument` and `not_found` name the field, the input or the region: unknown fields,
/// fields given twice, wrong types, numbers outside their datatype, data that is missing, given in
/// two ways, or of another length than was said.
result<infer_request> read_inference(std::istream& body, std::optional<std::uint64_t> json_bytes,
                                     std::uint64_t most_bytes,
                                     const shared_memory_regions& regions);

/// The answer to an inference as a body over HTTP.
struct inference_answer {
  std::string body;
  std::optional<std::size_t> json_bytes; ///< how long its JSON is, if binary data follows
};

/// Writes the outputs as JSON, and those that were asked for as binary data behind it. What went to
/// shared memory is in neither.
inference_answer write_inference(const infer_response& from);

} // namespace engram
