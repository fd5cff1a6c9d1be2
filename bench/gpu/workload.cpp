#include "engram/bench/gpu/workload.hpp"

#include "engram/bench/gpu/random_data.hpp"
#include "engram/kernels/cosine.hpp"

#include <algorithm>
#include <new>
#include <string>

namespace engram::bench {

namespace {

constexpr std::uint64_t data_seed = 1;

bool same_data(const work_shape& a, const work_shape& b) {
  const bool graphs = a.op == operation::spread && b.op == operation::spread;
  const bool vectors = a.op != operation::spread && b.op != operation::spread;
  return a.rows == b.rows && (graphs || (vectors && a.dim == b.dim && a.type == b.type));
}

result<std::variant<collection_ptr, graph_ptr>> make_content(const work_shape& shape) {
  if (shape.op == operation::spread) {
    auto graph = random_graph(shape.rows, data_seed);
    if (!graph) return graph.error();
    return std::variant<collection_ptr, graph_ptr>{*std::move(graph)};
  }
  auto vectors = random_collection(shape.rows, shape.dim, shape.type, data_seed);
  if (!vectors) return vectors.error();
  return std::variant<collection_ptr, graph_ptr>{*std::move(vectors)};
}

void take_queries(work_payload& payload, std::size_t count, std::uint64_t seed) {
  payload.queries = random_floats(count * payload.dim, seed);
  const auto rows = payload.query_rows();
  for (std::size_t r = 0; r < rows.rows(); ++r)
    payload.inverse_norms.push_back(inverse_norm(rows.row(r)));
}

void take_seeds(work_payload& payload, const work_shape& shape, std::uint64_t seed) {
  const auto count = std::clamp<std::size_t>(shape.seeds, 1, shape.rows);
  // Where nearly everything is a seed, small amounts leave room to grow in.
  const float amount = shape.seeds > 8 ? 0.01f : 1.0f;
  for (std::size_t s = 0; s < shape.items; ++s) {
    auto& set = payload.seed_sets.emplace_back();
    for (const auto node : spread_out(count, shape.rows, seed * shape.items + s))
      set.push_back({node, amount});
  }
}

std::size_t bytes_of(const work_payload& payload) {
  std::size_t bytes = (payload.queries.size() + payload.targets.size()) * sizeof(float) +
                      payload.ids.size() * sizeof(row_id);
  for (const auto& set : payload.seed_sets)
    bytes += set.size() * sizeof(seed);
  return bytes;
}

} // namespace

result<dataset_ptr> dataset_shelf::get(const work_shape& shape) {
  if (shape.rows == 0) return dataset_ptr{};
  if (held_ && same_data(held_shape_, shape)) return held_;
  held_.reset(); // never two large ones at once
  try {
    auto content = make_content(shape);
    if (!content) return content.error();
    held_ = std::make_shared<const dataset>(dataset{
        .name = "random", .version = 1, .content = *std::move(content), .key = next_key_++});
  } catch (const std::bad_alloc&) {
    return error{ec::resource_exhausted, "there is no memory on this machine for the case's data"};
  }
  held_shape_ = shape;
  return held_;
}

std::shared_ptr<work_payload> make_payload(const work_shape& shape, const dataset_ptr& data,
                                           std::uint64_t seed) {
  auto payload = std::make_shared<work_payload>();
  payload->op = shape.op;
  payload->data = data;
  if (shape.op == operation::spread) {
    payload->spread = shape.spread;
    take_seeds(*payload, shape, seed);
    return payload;
  }
  payload->dim = shape.dim;
  take_queries(*payload, shape.op == operation::search ? shape.items : 1, seed);
  if (shape.op == operation::search) payload->k = shape.k;
  if (shape.op == operation::similarity)
    payload->targets = random_floats(shape.items * shape.dim, seed + 1'000'000);
  if (shape.op == operation::score) payload->ids = spread_out(shape.items, shape.rows, seed);
  return payload;
}

std::vector<work_batch_ptr> make_batches(const work_shape& shape, const dataset_ptr& data,
                                         std::size_t count) {
  constexpr std::size_t most_bytes = 256u << 20;
  std::vector<work_batch_ptr> batches;
  std::size_t bytes = 0;
  for (std::uint64_t seed = 1; seed <= count && bytes < most_bytes; ++seed) {
    const auto payload = make_payload(shape, data, seed);
    bytes += bytes_of(*payload);
    auto batch = whole_batch(payload);
    batch->id = seed;
    batches.push_back(std::move(batch));
  }
  return batches;
}

} // namespace engram::bench
