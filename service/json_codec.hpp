#pragma once

/// Requests, answers, datasets and health as JSON: what the HTTP routes take and give, and what the
/// commands print with --json.

#include "engram/actors/answer.hpp"
#include "engram/base/error.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/pipeline/requests.hpp"
#include "engram/service/dataset_lookup.hpp"
#include "engram/service/json_writer.hpp"

#include <iosfwd>
#include <span>
#include <string>

namespace engram {

/// A request that was read from JSON, and the dataset it found; null for similarity.
struct decoded_request {
  request what;
  dataset_ptr data;
};

/// Reads the JSON body of a request for `op`:
///   search      {collection, queries: [[..]] or query: [..] or text: "..", k}
///   similarity  {query: [..], targets: [[..]]}
///   score       {collection, query: [..] or text: "..", ids: [..]}
///   spread      {graph, seeds: [{node or label, amount}] or seed_sets: [[..]], max_hops, decay,
///   threshold, top}
/// and for each of them deadline_ms, priority and tenant. Errors are `invalid_argument` and
/// `not_found` and name the field. What only a device could stumble over is left to the pipeline's
/// own checks.
result<decoded_request> decode_request(operation op, std::istream& in, const pipeline& pipe,
                                       label_finder& labels);

/// Returns the answer as a JSON object: results and how they came about, or the error. `data` lends
/// the labels, if the answer was computed on that version; `ids` are those of a score request.
///   search      {results: [{hits: [{id, label, score}]}], trace}
///   similarity  {scores: [..], trace}
///   score       {hits: [{id, label, score}], trace}       in the order of `ids`
///   spread      {results: [{hops, hits: [{node, label, activation}]}], trace}
std::string encode_answer(const answer& given, const dataset* data,
                          std::span<const row_id> ids = {});

/// Returns {"error": {code, message}}.
std::string encode_error(const error& why);

/// Returns {"datasets": [..]}; `devices` says which of them hold which dataset.
std::string encode_datasets(std::span<const dataset_ptr> datasets,
                            std::span<const device_health> devices);

/// Returns one dataset as it is listed there.
std::string encode_dataset(const dataset& data, std::span<const device_health> devices);

/// Returns {"faults": [{site, tasks, setting, fired, meaning}]}.
std::string encode_faults(std::span<const fault_points::site_info> sites);

/// Returns the health of the pipeline; `state` replaces its own word if not empty.
std::string encode_health(const health_report& health, std::string_view state = {});

/// Returns one device as it is listed there.
std::string encode_device(const device_health& device);

} // namespace engram
