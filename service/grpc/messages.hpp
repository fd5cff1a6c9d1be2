#pragma once

/// Requests and answers as the messages of service/proto/engram.proto.

#include "engram/actors/answer.hpp"
#include "engram/base/error.hpp"
#include "engram/pipeline/pipeline.hpp"
#include "engram/pipeline/requests.hpp"
#include "engram/service/dataset_lookup.hpp"

#include <engram.pb.h>

#include <memory>
#include <span>

namespace engram {

/// A request that was read from a message, and what its answer needs.
struct grpc_request {
  request what;
  /// Lends the labels; null where none are wanted.
  dataset_ptr data;
  bool omit_trace = false;
};

/// Reads requests. Numbers stay in the message, which `owner` keeps, where they are aligned.
class grpc_decoder {
public:
  grpc_decoder(const pipeline& pipe, label_finder& labels) : pipe_(pipe), labels_(labels) {}

  /// `invalid_argument` and `not_found` name the field. What only the pipeline can judge is left to
  /// it.
  result<grpc_request> decode(const v1::SearchRequest& in, std::shared_ptr<const void> owner) const;
  result<grpc_request> decode(const v1::SimilarityRequest& in,
                              std::shared_ptr<const void> owner) const;
  result<grpc_request> decode(const v1::ScoreRequest& in, std::shared_ptr<const void> owner) const;
  result<grpc_request> decode(const v1::SpreadRequest& in, std::shared_ptr<const void> owner) const;
  /// Any of the four; `invalid_argument` if there is none.
  result<grpc_request> decode(const v1::Request& in, std::shared_ptr<const void> owner) const;

private:
  result<std::vector<std::vector<seed>>> seeds_of(const v1::SpreadRequest& in,
                                                  const dataset_ptr& graph) const;

  const pipeline& pipe_;
  label_finder& labels_;
};

/// Writes the result of an answer that is ok. `data` lends the labels, if it is the version that
/// the answer was computed on; null: none. `ids` are those of a score request.
void encode(const answer& given, const dataset* data, v1::SearchResponse& out);
void encode(const answer& given, const dataset* data, v1::SimilarityResponse& out);
void encode(const answer& given, const dataset* data, std::span<const row_id> ids,
            v1::ScoreResponse& out);
void encode(const answer& given, const dataset* data, v1::SpreadResponse& out);

void encode_trace(const answer& given, v1::Trace& out);

void encode_dataset(const dataset& data, std::span<const device_health> devices, v1::Dataset& out);
void encode(std::span<const dataset_ptr> datasets, std::span<const device_health> devices,
            v1::ListDatasetsResponse& out);

} // namespace engram
