#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/service/oip/models.hpp"
#include "engram/service/oip/tensor.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace engram {

using infer_parameter = std::variant<bool, std::int64_t, std::uint64_t, double, std::string>;
using infer_parameters = std::map<std::string, infer_parameter, std::less<>>;

/// The most inputs that an inference may have, and the most outputs it may ask for: more than any
/// model has.
inline constexpr std::size_t max_infer_tensors = 16;

struct requested_output {
  std::string name;
  bool as_binary = false;             ///< HTTP: not as JSON
  std::optional<region_slice> region; ///< where it goes instead of into the answer
};

/// An inference, however it came. Its tensors are bytes, in the order of the request.
struct infer_request {
  std::string model, version, id;
  infer_parameters parameters;
  std::vector<tensor> inputs;
  std::vector<requested_output> outputs;  ///< empty: all but the labels
  std::optional<duration> deadline;       ///< of the call that brought it
  bool default_outputs_as_binary = false; ///< HTTP: of outputs that do not say themselves
};

struct output_tensor {
  tensor content; ///< without bytes if they went to the region
  bool as_binary = false;
  std::optional<region_slice> region; ///< as requested, with the bytes that were written
};

struct infer_response {
  std::string model, version, id;
  std::vector<output_tensor> outputs;
};

/// What an inference asks of the pipeline: one request for search and spread, one for each query of
/// a batch for similarity.
struct infer_plan {
  served_model model;
  std::vector<request> requests;
  std::vector<requested_output> outputs;
  std::string id;
};

/// Reads an inference. `invalid_argument` names the tensor or the parameter; `not_found` for the
/// model or its version. What only the pipeline can judge (NaN, nodes, k) is left to it.
///
/// Parameters: search: k; spread: max_hops, decay, threshold, top; all: timeout in microseconds,
/// priority as Triton counts it (0: no wish, 1 goes first, 17 last).
result<infer_plan> plan_inference(infer_request in, const pipeline& pipe);

/// Returns the outputs that `plan` asks for, from one answer for each of its requests, all ok.
///
/// Where the queries or seed sets of a batch have different numbers of hits, the rows are padded to
/// the longest with id 4294967295, score 0 and an empty label.
infer_response response_of(const infer_plan& plan, std::span<const answer> answers);

} // namespace engram
