#pragma once

/// Datasets and batches for the tests of devices, made from a seed.

#include "engram/devices/work.hpp"
#include "engram/kernels/cosine.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace engram::test {

/// Makes datasets and batches; the same seed makes the same ones.
class sample_work {
public:
  explicit sample_work(std::uint64_t seed = 1) : random_(seed) {}

  /// Returns a number in [low, high].
  std::size_t number(std::size_t low, std::size_t high) {
    return std::uniform_int_distribution<std::size_t>(low, high)(random_);
  }

  dataset_ptr collection(std::size_t rows, std::size_t dim, element_type type = element_type::f32) {
    const auto numbers = vectors(rows, dim);
    auto made = vector_collection::make({numbers.data(), rows, dim}, type);
    return as_dataset("collection", *std::move(made));
  }

  dataset_ptr graph(std::size_t nodes, std::size_t edges_a_node) {
    std::uniform_real_distribution<float> weight(-0.3f, 1.0f);
    std::vector<edge> edges;
    for (std::size_t i = 0; i < nodes; ++i)
      for (std::size_t e = 0; e < std::min(edges_a_node, nodes - 1); ++e)
        edges.push_back({static_cast<node_id>(i), static_cast<node_id>((i * 7 + e * e + 1) % nodes),
                         weight(random_)});
    drop_repeated_pairs(edges);
    return as_dataset("graph", *activation_graph::make(nodes, std::move(edges)));
  }

  payload_ptr search(const dataset_ptr& data, std::size_t queries, std::uint32_t k) {
    auto payload = make(operation::search, data, data->collection()->dim());
    payload->k = k;
    set_queries(*payload, queries);
    return payload;
  }

  payload_ptr similarity(std::size_t dim, std::size_t targets) {
    auto payload = make(operation::similarity, nullptr, dim);
    set_queries(*payload, 1);
    payload->targets = vectors(targets, dim);
    return payload;
  }

  payload_ptr score(const dataset_ptr& data, std::size_t ids) {
    auto payload = make(operation::score, data, data->collection()->dim());
    set_queries(*payload, 1);
    for (std::size_t i = 0; i < ids; ++i)
      payload->ids.push_back(static_cast<row_id>(number(0, data->collection()->size() - 1)));
    return payload;
  }

  payload_ptr spread(const dataset_ptr& data, std::size_t sets) {
    auto payload = make(operation::spread, data, 0);
    payload->spread = {static_cast<std::uint32_t>(number(1, 5)), 0.7f, 0.001f,
                       static_cast<std::uint32_t>(number(0, 20))};
    for (std::size_t s = 0; s < sets; ++s) {
      auto& seeds = payload->seed_sets.emplace_back(number(1, 4));
      for (auto& one : seeds)
        one = {static_cast<node_id>(number(0, data->graph()->nodes() - 1)), 0.4f};
    }
    return payload;
  }

  /// Returns a payload of `op` with `items` items and, for a search, a random k.
  payload_ptr payload(operation op, const dataset_ptr& data, std::size_t dim, std::size_t items) {
    switch (op) {
    case operation::search:
      return search(data, items, static_cast<std::uint32_t>(number(1, 40)));
    case operation::similarity:
      return similarity(dim, items);
    case operation::score:
      return score(data, items);
    case operation::spread:
      break;
    }
    return spread(data, items);
  }

private:
  static dataset_ptr as_dataset(std::string name, std::variant<collection_ptr, graph_ptr> content) {
    static std::uint64_t next_key = 1;
    auto made = std::make_shared<dataset>();
    made->name = std::move(name);
    made->content = std::move(content);
    made->key = next_key++;
    return made;
  }

  static void drop_repeated_pairs(std::vector<edge>& edges) {
    const auto ends = [](const edge& e) { return std::pair(e.source, e.target); };
    std::sort(edges.begin(), edges.end(),
              [&](const edge& a, const edge& b) { return ends(a) < ends(b); });
    edges.erase(std::unique(edges.begin(), edges.end(),
                            [&](const edge& a, const edge& b) { return ends(a) == ends(b); }),
                edges.end());
  }

  // Small integers: many scores tie, so that the order of ids is tested as well.
  std::vector<float> vectors(std::size_t rows, std::size_t dim) {
    std::uniform_int_distribution<int> element(-3, 3);
    std::vector<float> numbers(rows * dim);
    for (auto& x : numbers)
      x = static_cast<float>(element(random_));
    return numbers;
  }

  static std::shared_ptr<work_payload> make(operation op, dataset_ptr data, std::size_t dim) {
    auto payload = std::make_shared<work_payload>();
    payload->op = op;
    payload->data = std::move(data);
    payload->dim = dim;
    return payload;
  }

  void set_queries(work_payload& payload, std::size_t queries) {
    payload.queries = vectors(queries, payload.dim);
    for (std::size_t q = 0; q < queries; ++q)
      payload.inverse_norms.push_back(inverse_norm(payload.query_rows().row(q)));
  }

  std::mt19937_64 random_;
};

/// Returns the batch of `items`, which are of one operation and dataset.
inline work_batch_ptr batch_of(std::vector<work_item> items) {
  auto batch = std::make_shared<work_batch>();
  const auto& payload = *items.front().payload;
  batch->op = payload.op;
  batch->data = payload.data;
  batch->dim = payload.dim;
  batch->items = std::move(items);
  return batch;
}

inline work_batch_ptr batch_of(const payload_ptr& payload) {
  return whole_batch(payload);
}

/// Returns a batch of several items, some of them the parts of one payload.
inline work_batch_ptr random_batch(sample_work& sample, operation op, const dataset_ptr& data,
                                   std::size_t dim, std::size_t most_items) {
  std::vector<work_item> items;
  for (std::size_t n = sample.number(1, 4); n > 0; --n) {
    const auto count = sample.number(1, most_items);
    const auto payload = sample.payload(op, data, dim, count);
    const auto cut = sample.number(0, count - 1);
    if (cut > 0) items.push_back({payload, 0, cut});
    items.push_back({payload, cut, count - cut});
  }
  return batch_of(std::move(items));
}

} // namespace engram::test
