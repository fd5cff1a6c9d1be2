#include "engram/service/json_codec.hpp"

#include "engram/service/request_body.hpp"

#include <algorithm>
#include <chrono>
#include <istream>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

namespace {

error missing(std::string_view what) {
  return {ec::invalid_argument, "the body has no " + std::string{what}};
}

result<request_options> options_of(request_body& body) {
  request_options options;
  options.priority = body.priority.value_or(0);
  options.tenant = std::move(body.tenant).value_or("");
  if (body.deadline_ms) {
    auto deadline = deadline_of_ms(*body.deadline_ms);
    if (!deadline) return deadline.error();
    options.deadline = *deadline;
  }
  return options;
}

/// Returns what is wrong with the shape of `rows`, checked here because the pipeline gets them
/// without it.
std::optional<error> shape_complaint(std::string_view field, const float_rows& rows,
                                     std::size_t dim, std::string_view whose) {
  if (rows.rows == 0) return error{ec::invalid_argument, std::string{field} + " is empty"};
  if (rows.dim == dim) return std::nullopt;
  return error{ec::invalid_argument,
               std::string{field} + " has vectors of " + std::to_string(rows.dim) +
                   " numbers: " + std::string{whose} + " has dimension " + std::to_string(dim)};
}

/// Returns the one vector that `query` or `text` names.
result<std::vector<float>> single_query(request_body& body, const dataset& data) {
  const auto& collection = *data.collection();
  if (body.query) {
    if (auto wrong = shape_complaint("query", *body.query, collection.dim(), data.name))
      return *wrong;
    return std::move(body.query->values);
  }
  return embed_text(data, *body.text);
}

result<decoded_request> to_search(request_body body, request_options options,
                                  const pipeline& pipe) {
  if (!body.collection) return missing("collection");
  const int ways = body.query.has_value() + body.queries.has_value() + body.text.has_value();
  if (ways != 1)
    return error{ec::invalid_argument, "a search takes exactly one of query, queries and text"};
  auto data = find_collection(pipe, *body.collection);
  if (!data) return data.error();

  search_request out{std::move(*body.collection), {}, body.k.value_or(10), std::move(options)};
  if (body.queries) {
    const auto dim = (*data)->collection()->dim();
    if (auto wrong = shape_complaint("queries", *body.queries, dim, (*data)->name)) return *wrong;
    out.queries = std::move(body.queries->values);
  } else {
    auto query = single_query(body, **data);
    if (!query) return query.error();
    out.queries = std::move(*query);
  }
  return decoded_request{std::move(out), std::move(*data)};
}

result<decoded_request> to_similarity(request_body body, request_options options) {
  if (!body.query) return missing("query");
  if (!body.targets) return missing("targets");
  if (auto wrong = shape_complaint("targets", *body.targets, body.query->dim, "the query"))
    return *wrong;
  return decoded_request{similarity_request{std::move(body.query->values),
                                            std::move(body.targets->values), std::move(options)},
                         nullptr};
}

result<decoded_request> to_score(request_body body, request_options options, const pipeline& pipe) {
  if (!body.collection) return missing("collection");
  if (body.query.has_value() == body.text.has_value())
    return error{ec::invalid_argument, "a score takes exactly one of query and text"};
  if (!body.ids) return missing("ids");
  auto data = find_collection(pipe, *body.collection);
  if (!data) return data.error();
  auto query = single_query(body, **data);
  if (!query) return query.error();
  return decoded_request{score_request{std::move(*body.collection), std::move(*query),
                                       std::move(*body.ids), std::move(options)},
                         std::move(*data)};
}

result<std::vector<std::vector<seed>>>
resolve_seeds(const std::vector<std::vector<seed_entry>>& sets, const dataset_ptr& graph,
              label_finder& labels) {
  std::vector<std::vector<seed>> out(sets.size());
  for (std::size_t s = 0; s < sets.size(); ++s) {
    for (const auto& entry : sets[s]) {
      node_id node = entry.node.value_or(0);
      if (entry.label) {
        auto found = labels.find(graph, *entry.label);
        if (!found) return found.error();
        node = *found;
      }
      out[s].push_back({node, entry.amount});
    }
  }
  return out;
}

result<decoded_request> to_spread(request_body body, request_options options, const pipeline& pipe,
                                  label_finder& labels) {
  if (!body.graph) return missing("graph");
  if (!body.seed_sets) return missing("seeds or seed_sets");
  auto graph = find_graph(pipe, *body.graph);
  if (!graph) return graph.error();
  auto seeds = resolve_seeds(*body.seed_sets, *graph, labels);
  if (!seeds) return seeds.error();

  spread_options spread;
  spread.max_hops = body.max_hops.value_or(spread.max_hops);
  spread.decay = body.decay.value_or(spread.decay);
  spread.threshold = body.threshold.value_or(spread.threshold);
  spread.top = body.top.value_or(spread.top);
  return decoded_request{
      spread_request{(*graph)->name, std::move(*seeds), spread, std::move(options)},
      std::move(*graph)};
}

struct hit_words {
  std::string_view id;
  std::string_view score;
};

void write_hit(json_writer& out, const hit& h, const dataset* data, hit_words words) {
  out.begin_object().field(words.id, h.id);
  if (const auto label = label_of(data, h.id); !label.empty()) out.field("label", label);
  out.field(words.score, h.score).end_object();
}

void write_hits(json_writer& out, std::span<const hit> hits, const dataset* data, hit_words words) {
  out.key("hits").begin_array();
  for (const hit& h : hits)
    write_hit(out, h, data, words);
  out.end_array();
}

/// Writes one result for each query or seed set.
void write_results(json_writer& out, const item_output& output, const dataset* data,
                   hit_words words) {
  std::span<const hit> rest{output.hits};
  out.key("results").begin_array();
  for (std::size_t i = 0; i < output.counts.size(); ++i) {
    out.begin_object();
    if (i < output.hops.size()) out.field("hops", output.hops[i]);
    const auto count = std::min<std::size_t>(output.counts[i], rest.size());
    write_hits(out, rest.first(count), data, words);
    rest = rest.subspan(count);
    out.end_object();
  }
  out.end_array();
}

void write_scored_ids(json_writer& out, const std::vector<float>& scores,
                      std::span<const row_id> ids, const dataset* data) {
  out.key("hits").begin_array();
  for (std::size_t i = 0; i < scores.size() && i < ids.size(); ++i)
    write_hit(out, {ids[i], scores[i]}, data, {"id", "score"});
  out.end_array();
}

void write_trace(json_writer& out, const answer& given) {
  const auto& trace = given.trace;
  const auto milliseconds = [](double seconds) { return static_cast<float>(seconds * 1000); };
  out.key("trace").begin_object();
  out.field("request", given.id);
  out.field("device", trace.device).field("reason", to_string(trace.reason));
  out.field("attempts", trace.attempts).field("fell_back", trace.fell_back);
  if (!trace.cause.empty()) out.field("cause", trace.cause);
  out.field("batch_items", trace.batch_items);
  if (trace.dataset_version) out.field("dataset_version", trace.dataset_version);
  out.field("queue_ms", milliseconds(trace.queue_seconds));
  out.field("window_ms", milliseconds(trace.window_seconds));
  out.field("transfer_ms", milliseconds(trace.transfer_seconds));
  out.field("kernel_ms", milliseconds(trace.kernel_seconds));
  out.field("total_ms", milliseconds(trace.total_seconds)).end_object();
}

void write_error(json_writer& out, const error& why) {
  out.key("error").begin_object();
  out.field("code", to_string(why.code)).field("message", why.message).end_object();
}

void write_dataset(json_writer& out, const dataset& data, std::span<const device_health> devices) {
  out.begin_object().field("name", data.name).field("version", data.version);
  if (const auto* c = data.collection()) {
    out.field("kind", "vectors").field("rows", c->size()).field("dim", c->dim());
    out.field("type", c->type() == element_type::f32   ? "f32"
                      : c->type() == element_type::f16 ? "f16"
                                                       : "bf16");
    out.field("labels", c->has_labels()).field("takes_text", c->embedder() != nullptr);
  } else {
    const auto* g = data.graph();
    out.field("kind", "graph").field("nodes", g->nodes()).field("edges", g->edges());
    out.field("labels", g->has_labels());
  }
  out.field("resident_bytes", data.resident_bytes()).key("devices").begin_array();
  for (const auto& device : devices)
    if (std::find(device.resident.begin(), device.resident.end(), data.key) !=
        device.resident.end())
      out.value(device.info.name);
  out.end_array().end_object();
}

void write_device(json_writer& out, const device_health& device) {
  out.begin_object().field("name", device.info.name).field("kind", to_string(device.info.kind));
  out.field("model", device.info.model).field("available", device.available);
  out.field("breaker", to_string(device.breaker)).field("success_rate", device.success_rate);
  out.field("breaker_override", to_string(device.overridden));
  out.field("memory_used_bytes", device.memory.used_bytes);
  out.field("memory_budget_bytes", device.memory.budget_bytes);
  out.field("restarts", device.restarts).end_object();
}

} // namespace

result<decoded_request> decode_request(operation op, std::istream& in, const pipeline& pipe,
                                       label_finder& labels) {
  auto body = read_request_body(op, in);
  if (!body) return body.error();
  auto options = options_of(*body);
  if (!options) return options.error();
  switch (op) {
  case operation::search:
    return to_search(std::move(*body), std::move(*options), pipe);
  case operation::similarity:
    return to_similarity(std::move(*body), std::move(*options));
  case operation::score:
    return to_score(std::move(*body), std::move(*options), pipe);
  case operation::spread:
    return to_spread(std::move(*body), std::move(*options), pipe, labels);
  }
  return error{ec::internal, "unknown operation"};
}

std::string encode_answer(const answer& given, const dataset* data, std::span<const row_id> ids) {
  json_writer out;
  out.begin_object();
  if (!given.ok()) {
    write_error(out, given.failure);
    out.end_object();
    return out.take();
  }
  // A newer version may have come in between; its labels may belong to other rows.
  const dataset* labels = data && data->version == given.trace.dataset_version ? data : nullptr;
  switch (given.op) {
  case operation::search:
    write_results(out, given.output, labels, {"id", "score"});
    break;
  case operation::spread:
    write_results(out, given.output, labels, {"node", "activation"});
    break;
  case operation::score:
    write_scored_ids(out, given.output.scores, ids, labels);
    break;
  case operation::similarity:
    out.key("scores").begin_array();
    for (const float score : given.output.scores)
      out.value(score);
    out.end_array();
    break;
  }
  write_trace(out, given);
  out.end_object();
  return out.take();
}

std::string encode_error(const error& why) {
  json_writer out;
  out.begin_object();
  write_error(out, why);
  out.end_object();
  return out.take();
}

std::string encode_datasets(std::span<const dataset_ptr> datasets,
                            std::span<const device_health> devices) {
  json_writer out;
  out.begin_object().key("datasets").begin_array();
  for (const auto& data : datasets)
    write_dataset(out, *data, devices);
  out.end_array().end_object();
  return out.take();
}

std::string encode_dataset(const dataset& data, std::span<const device_health> devices) {
  json_writer out;
  write_dataset(out, data, devices);
  return out.take();
}

std::string encode_faults(std::span<const fault_points::site_info> sites) {
  json_writer out;
  out.begin_object().key("faults").begin_array();
  for (const auto& site : sites) {
    out.begin_object().field("site", site.name).key("tasks").begin_array();
    for (const auto task : site.tasks.names())
      out.value(task);
    out.end_array().field("setting", site.setting).field("fired", site.fired);
    out.field("meaning", site.meaning).end_object();
  }
  out.end_array().end_object();
  return out.take();
}

std::string encode_health(const health_report& health, std::string_view state) {
  json_writer out;
  out.begin_object().field("live", health.live).field("ready", health.ready && state.empty());
  out.field("state", state.empty() ? std::string_view{health.state} : state);
  out.field("in_flight", health.in_flight).key("devices").begin_array();
  for (const auto& device : health.devices)
    write_device(out, device);
  out.end_array().end_object();
  return out.take();
}

std::string encode_device(const device_health& device) {
  json_writer out;
  write_device(out, device);
  return out.take();
}

} // namespace engram
