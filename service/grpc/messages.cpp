#include "engram/service/grpc/messages.hpp"

#include "engram/datasets/text_embedder.hpp"
#include "engram/service/error_words.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace engram {

static_assert(std::endian::native == std::endian::little, "Floats.raw is taken as it comes");

namespace {

using owner_ptr = std::shared_ptr<const void>;

result<float_buffer> to_floats(const char* field, const v1::Floats& in, const owner_ptr& owner) {
  if (in.values_size() > 0 && !in.raw().empty())
    return invalid(std::string{field} + " has both values and raw: give one of them");
  if (in.raw().empty())
    return float_buffer::lent({in.values().data(), static_cast<std::size_t>(in.values_size())},
                              owner);
  const std::string& raw = in.raw();
  if (raw.size() % sizeof(float) != 0)
    return invalid(std::string{field} + ".raw has " + std::to_string(raw.size()) +
                   " bytes, which is no multiple of 4");
  const std::size_t count = raw.size() / sizeof(float);
  if (reinterpret_cast<std::uintptr_t>(raw.data()) % alignof(float) == 0)
    return float_buffer::lent({reinterpret_cast<const float*>(raw.data()), count}, owner);
  std::vector<float> copy(count);
  std::memcpy(copy.data(), raw.data(), raw.size());
  return float_buffer{std::move(copy)};
}

result<request_options> to_options(const v1::RequestOptions& in) {
  request_options out;
  out.priority = in.priority();
  out.tenant = in.tenant();
  if (in.has_deadline_ms()) {
    auto deadline = deadline_of_ms(in.deadline_ms());
    if (!deadline) return deadline.error();
    out.deadline = *deadline;
  }
  return out;
}

/// Takes the one query that `vector` or `text` gives.
template <class Message>
result<float_buffer> to_query(const pipeline& pipe, const char* field, const Message& in,
                              bool has_vector, const v1::Floats& vector, const owner_ptr& owner) {
  if (has_vector == !in.text().empty())
    return invalid(std::string{"give exactly one of "} + field + " and text");
  if (has_vector) return to_floats(field, vector, owner);
  auto data = find_collection(pipe, in.collection());
  if (!data) return data.error();
  auto query = embed_text(**data, in.text());
  if (!query) return query.error();
  return float_buffer{std::move(*query)};
}

/// What the answer of `request` needs besides the pipeline's own.
grpc_request with_surroundings(request what, const v1::RequestOptions& options, dataset_ptr data) {
  return {std::move(what), options.with_labels() ? std::move(data) : nullptr, options.omit_trace()};
}

/// Returns `data` if its labels belong to the rows of this answer.
const dataset* labels_for(const answer& given, const dataset* data) {
  const bool fits = data && data->version == given.trace.dataset_version;
  if (!fits) return nullptr;
  const bool has_labels =
      data->collection() ? data->collection()->has_labels() : data->graph()->has_labels();
  return has_labels ? data : nullptr;
}

std::string label_text(const dataset& data, std::uint32_t id) {
  return std::string{label_of(&data, id)};
}

/// Calls `write` with the hits and the place of each query or seed set.
template <class Write>
void for_each_result(const item_output& output, Write write) {
  std::span<const hit> rest{output.hits};
  for (std::size_t i = 0; i < output.counts.size(); ++i) {
    const auto count = std::min<std::size_t>(output.counts[i], rest.size());
    write(i, rest.first(count));
    rest = rest.subspan(count);
  }
}

/// Writes hits into parallel lists.
template <class Ids, class Scores, class Labels>
void write_hits(std::span<const hit> hits, const dataset* labels, Ids* ids, Scores* scores,
                Labels* names) {
  const auto count = static_cast<int>(hits.size());
  ids->Reserve(count);
  scores->Reserve(count);
  for (const hit& h : hits) {
    ids->AddAlreadyReserved(h.id);
    scores->AddAlreadyReserved(h.score);
    if (labels) *names->Add() = label_text(*labels, h.id);
  }
}

const char* name_of(element_type type) {
  return type == element_type::f32 ? "f32" : type == element_type::f16 ? "f16" : "bf16";
}

} // namespace

result<grpc_request> grpc_decoder::decode(const v1::SearchRequest& in, owner_ptr owner) const {
  auto options = to_options(in.options());
  if (!options) return options.error();
  auto queries = to_query(pipe_, "queries", in, in.has_queries(), in.queries(), owner);
  if (!queries) return queries.error();
  dataset_ptr data = in.options().with_labels() ? pipe_.find(in.collection()) : nullptr;
  return with_surroundings(search_request{in.collection(), std::move(*queries),
                                          in.has_k() ? in.k() : 10u, std::move(*options)},
                           in.options(), std::move(data));
}

result<grpc_request> grpc_decoder::decode(const v1::SimilarityRequest& in, owner_ptr owner) const {
  auto options = to_options(in.options());
  if (!options) return options.error();
  auto query = to_floats("query", in.query(), owner);
  if (!query) return query.error();
  auto targets = to_floats("targets", in.targets(), owner);
  if (!targets) return targets.error();
  return with_surroundings(
      similarity_request{std::move(*query), std::move(*targets), std::move(*options)}, in.options(),
      nullptr);
}

result<grpc_request> grpc_decoder::decode(const v1::ScoreRequest& in, owner_ptr owner) const {
  auto options = to_options(in.options());
  if (!options) return options.error();
  auto query = to_query(pipe_, "query", in, in.has_query(), in.query(), owner);
  if (!query) return query.error();
  dataset_ptr data = in.options().with_labels() ? pipe_.find(in.collection()) : nullptr;
  return with_surroundings(score_request{in.collection(),
                                         std::move(*query),
                                         {in.ids().begin(), in.ids().end()},
                                         std::move(*options)},
                           in.options(), std::move(data));
}

result<std::vector<std::vector<seed>>> grpc_decoder::seeds_of(const v1::SpreadRequest& in,
                                                              const dataset_ptr& graph) const {
  std::vector<std::vector<seed>> out;
  out.reserve(static_cast<std::size_t>(in.seed_sets_size()));
  for (const auto& set : in.seed_sets()) {
    auto& seeds = out.emplace_back();
    for (const auto& each : set.seeds()) {
      seed one{each.node(), each.has_amount() ? each.amount() : 1.0f};
      if (each.which_case() == v1::Seed::WHICH_NOT_SET)
        return invalid("seed " + std::to_string(seeds.size()) + " of seed set " +
                       std::to_string(out.size() - 1) + " has neither node nor label");
      if (each.has_label()) {
        const auto node = labels_.find(graph, each.label());
        if (!node) return node.error();
        one.node = *node;
      }
      seeds.push_back(one);
    }
  }
  return out;
}

result<grpc_request> grpc_decoder::decode(const v1::SpreadRequest& in, owner_ptr) const {
  auto options = to_options(in.options());
  if (!options) return options.error();
  auto graph = find_graph(pipe_, in.graph());
  if (!graph) return graph.error();
  auto seeds = seeds_of(in, *graph);
  if (!seeds) return seeds.error();
  spread_options spread;
  if (in.has_max_hops()) spread.max_hops = in.max_hops();
  if (in.has_decay()) spread.decay = in.decay();
  if (in.has_threshold()) spread.threshold = in.threshold();
  if (in.has_top()) spread.top = in.top();
  spread_request what{(*graph)->name, std::move(*seeds), spread, std::move(*options)};
  return with_surroundings(std::move(what), in.options(), std::move(*graph));
}

result<grpc_request> grpc_decoder::decode(const v1::Request& in, owner_ptr owner) const {
  switch (in.operation_case()) {
  case v1::Request::kSearch:
    return decode(in.search(), std::move(owner));
  case v1::Request::kSimilarity:
    return decode(in.similarity(), std::move(owner));
  case v1::Request::kScore:
    return decode(in.score(), std::move(owner));
  case v1::Request::kSpread:
    return decode(in.spread(), std::move(owner));
  case v1::Request::OPERATION_NOT_SET:
    break;
  }
  return invalid("request " + std::to_string(in.id()) +
                 " names no operation: give search, similarity, score or spread");
}

void encode(const answer& given, const dataset* data, v1::SearchResponse& out) {
  const dataset* labels = labels_for(given, data);
  for_each_result(given.output, [&](std::size_t, std::span<const hit> hits) {
    auto& to = *out.add_results();
    write_hits(hits, labels, to.mutable_ids(), to.mutable_scores(), to.mutable_labels());
  });
}

void encode(const answer& given, const dataset*, v1::SimilarityResponse& out) {
  out.mutable_scores()->Add(given.output.scores.begin(), given.output.scores.end());
}

void encode(const answer& given, const dataset* data, std::span<const row_id> ids,
            v1::ScoreResponse& out) {
  out.mutable_scores()->Add(given.output.scores.begin(), given.output.scores.end());
  if (const dataset* labels = labels_for(given, data))
    for (const row_id id : ids)
      *out.add_labels() = label_text(*labels, id);
}

void encode(const answer& given, const dataset* data, v1::SpreadResponse& out) {
  const dataset* labels = labels_for(given, data);
  for_each_result(given.output, [&](std::size_t i, std::span<const hit> hits) {
    auto& to = *out.add_results();
    if (i < given.output.hops.size()) to.set_hops(given.output.hops[i]);
    write_hits(hits, labels, to.mutable_nodes(), to.mutable_activations(), to.mutable_labels());
  });
}

void encode_trace(const answer& given, v1::Trace& out) {
  const auto& trace = given.trace;
  const auto milliseconds = [](double seconds) { return static_cast<float>(seconds * 1000); };
  out.set_request(given.id);
  out.set_device(trace.device);
  const auto reason = to_string(trace.reason);
  out.set_reason(reason.data(), reason.size());
  out.set_attempts(trace.attempts);
  out.set_fell_back(trace.fell_back);
  if (!trace.cause.empty()) out.set_cause(trace.cause);
  out.set_batch_items(trace.batch_items);
  out.set_dataset_version(trace.dataset_version);
  out.set_queue_ms(milliseconds(trace.queue_seconds));
  out.set_window_ms(milliseconds(trace.window_seconds));
  out.set_transfer_ms(milliseconds(trace.transfer_seconds));
  out.set_kernel_ms(milliseconds(trace.kernel_seconds));
  out.set_total_ms(milliseconds(trace.total_seconds));
}

void encode_dataset(const dataset& data, std::span<const device_health> devices, v1::Dataset& out) {
  out.set_name(data.name);
  out.set_version(data.version);
  out.set_resident_bytes(data.resident_bytes());
  if (const auto* c = data.collection()) {
    out.set_has_labels(c->has_labels());
    out.mutable_collection()->set_rows(c->size());
    out.mutable_collection()->set_dim(static_cast<std::uint32_t>(c->dim()));
    out.mutable_collection()->set_element_type(name_of(c->type()));
    out.mutable_collection()->set_takes_text(c->embedder() != nullptr);
  } else {
    out.set_has_labels(data.graph()->has_labels());
    out.mutable_graph()->set_nodes(data.graph()->nodes());
    out.mutable_graph()->set_edges(data.graph()->edges());
  }
  for (const auto& device : devices)
    if (std::ranges::find(device.resident, data.key) != device.resident.end())
      out.add_devices(device.info.name);
}

void encode(std::span<const dataset_ptr> datasets, std::span<const device_health> devices,
            v1::ListDatasetsResponse& out) {
  for (const auto& data : datasets)
    encode_dataset(*data, devices, *out.add_datasets());
}

} // namespace engram
