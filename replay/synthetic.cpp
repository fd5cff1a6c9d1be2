#include "engram/replay/synthetic.hpp"

#include "engram/replay/random.hpp"

#include <algorithm>
#include <new>
#include <vector>

namespace engram::replay {

namespace {

result<std::variant<collection_ptr, graph_ptr>> make_vectors(const synthetic_dataset& what) {
  random_stream random{mix(what.seed, what.dim)};
  std::vector<float> rows(std::size_t{what.n} * what.dim);
  for (auto& value : rows)
    value = static_cast<float>(random.normal());
  auto made = vector_collection::make({rows.data(), what.n, what.dim});
  if (!made) return made.error();
  return std::variant<collection_ptr, graph_ptr>{std::move(*made)};
}

result<std::variant<collection_ptr, graph_ptr>> make_graph(const synthetic_dataset& what) {
  random_stream random{mix(what.seed, what.edges_per_node)};
  std::vector<edge> edges;
  edges.reserve(std::size_t{what.nodes} * what.edges_per_node);
  std::vector<node_id> targets;
  for (node_id source = 0; source < what.nodes; ++source) {
    targets.clear();
    while (targets.size() < what.edges_per_node) {
      const auto target = static_cast<node_id>(random.between(0, what.nodes - 1));
      if (target == source || std::find(targets.begin(), targets.end(), target) != targets.end())
        continue;
      targets.push_back(target);
      edges.push_back({source, target, static_cast<float>(random.uniform() * 1.25 - 0.25)});
    }
  }
  auto made = activation_graph::make(what.nodes, std::move(edges));
  if (!made) return made.error();
  return std::variant<collection_ptr, graph_ptr>{std::move(*made)};
}

} // namespace

result<std::variant<collection_ptr, graph_ptr>> make_dataset(const synthetic_dataset& what) {
  try {
    return what.kind == synthetic_dataset::form::vectors ? make_vectors(what) : make_graph(what);
  } catch (const std::bad_alloc&) {
    return error{ec::resource_exhausted,
                 "there is no memory for the dataset " + what.name + "; make it smaller"};
  }
}

} // namespace engram::replay
