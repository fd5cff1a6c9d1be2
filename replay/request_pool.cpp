#include "engram/replay/request_pool.hpp"

#include "engram/replay/random.hpp"

#include <cmath>

namespace engram::replay {

namespace {

constexpr std::uint64_t for_requests = 3; // what the stream is for; see schedule.cpp
constexpr double max_pool_bytes = 2.0 * 1024 * 1024 * 1024;

std::uint32_t count_in(const count_range& range, random_stream& random) {
  return static_cast<std::uint32_t>(random.between(range.lowest, range.highest));
}

void append_random(std::vector<float>& to, std::size_t dim, random_stream& random) {
  for (std::size_t i = 0; i < dim; ++i)
    to.push_back(static_cast<float>(random.normal()));
}

/// Appends a random row of the collection plus noise of `noise` times its length.
void append_near_row(std::vector<float>& to, const vector_collection& rows, double noise,
                     random_stream& random) {
  const auto row = rows.row(random.between(0, rows.size() - 1));
  double squares = 0;
  for (const auto value : row)
    squares += double{value} * value;
  const auto length = squares > 0 ? std::sqrt(squares) : 1.0;
  const auto scale = noise * length / std::sqrt(static_cast<double>(row.size()));
  for (const auto value : row)
    to.push_back(static_cast<float>(value + scale * random.normal()));
}

void append_query(std::vector<float>& to, const load_spec& load, const vector_collection& rows,
                  random_stream& random) {
  if (load.vectors == vector_source::rows)
    append_near_row(to, rows, load.noise, random);
  else
    append_random(to, rows.dim(), random);
}

request_options options_of(const load_spec& load) {
  return {load.deadline, load.priority, load.tenant};
}

request make_search(const load_spec& load, const vector_collection& rows, random_stream& random) {
  std::vector<float> queries;
  const auto count = count_in(load.queries, random);
  queries.reserve(count * rows.dim());
  for (std::uint32_t i = 0; i < count; ++i)
    append_query(queries, load, rows, random);
  return search_request{load.dataset, std::move(queries), load.k, options_of(load)};
}

request make_score(const load_spec& load, const vector_collection& rows, random_stream& random) {
  std::vector<float> query;
  append_query(query, load, rows, random);
  score_request made{load.dataset, std::move(query), {}, options_of(load)};
  const auto count = count_in(load.ids, random);
  for (std::uint32_t i = 0; i < count; ++i)
    made.ids.push_back(static_cast<row_id>(random.between(0, rows.size() - 1)));
  return made;
}

request make_similarity(const load_spec& load, random_stream& random) {
  std::vector<float> query, targets;
  append_random(query, load.dim, random);
  append_random(targets, std::size_t{count_in(load.targets, random)} * load.dim, random);
  return similarity_request{std::move(query), std::move(targets), options_of(load)};
}

request make_spread(const load_spec& load, const activation_graph& graph, random_stream& random) {
  spread_request made{load.dataset, {}, load.spread, options_of(load)};
  made.seed_sets.resize(count_in(load.seed_sets, random));
  for (auto& set : made.seed_sets) {
    const auto count = count_in(load.seeds, random);
    for (std::uint32_t i = 0; i < count; ++i)
      set.push_back({static_cast<node_id>(random.between(0, graph.nodes() - 1)),
                     static_cast<float>(1.0 - 0.75 * random.uniform())});
  }
  return made;
}

request make_request(const load_spec& load, const dataset* data, random_stream random) {
  switch (load.op) {
  case operation::search:
    return make_search(load, *data->collection(), random);
  case operation::similarity:
    return make_similarity(load, random);
  case operation::score:
    return make_score(load, *data->collection(), random);
  case operation::spread:
    break;
  }
  return make_spread(load, *data->graph(), random);
}

/// Returns the bytes of the largest request that a load makes.
double largest_request(const load_spec& load, const dataset* data) {
  switch (load.op) {
  case operation::search:
    return 4.0 * load.queries.highest * static_cast<double>(data->collection()->dim());
  case operation::similarity:
    return 4.0 * (load.targets.highest + 1.0) * load.dim;
  case operation::score:
    return 4.0 * (load.ids.highest + static_cast<double>(data->collection()->dim()));
  case operation::spread:
    break;
  }
  return load.seed_sets.highest * (24.0 + 8.0 * load.seeds.highest);
}

/// Returns what `load` asks about, checked, or null for similarity.
result<dataset_ptr> data_for(const load_spec& load, const dataset_finder& find) {
  if (load.op == operation::similarity) return dataset_ptr{};
  auto data = find(load.dataset);
  if (!data)
    return error{ec::not_found, "the load " + load.name + " needs the dataset " + load.dataset +
                                    ", which is not there; import it or declare it in the "
                                    "scenario as a [[dataset]]"};
  const auto wants_graph = load.op == operation::spread;
  if (wants_graph != (data->graph() != nullptr))
    return error{ec::invalid_argument,
                 "the load " + load.name + " cannot use the dataset " + load.dataset + ": " +
                     std::string{to_string(load.op)} + " needs a " +
                     (wants_graph ? "graph and it is a collection of vectors"
                                  : "collection of vectors and it is a graph")};
  return data;
}

} // namespace

result<request_pool> request_pool::make(const scenario& what, const dataset_finder& find) {
  request_pool pool;
  double bytes = 0;
  for (std::uint32_t i = 0; i < what.loads.size(); ++i) {
    const auto& load = what.loads[i];
    auto data = data_for(load, find);
    if (!data) return data.error();
    bytes += load.distinct * largest_request(load, data->get());
    if (bytes > max_pool_bytes)
      return error{ec::resource_exhausted,
                   "the distinct requests of the loads up to " + load.name +
                       " take more than 2 GiB; lower `distinct` or make the requests smaller"};
    const auto seed = mix(mix(what.seed, i), for_requests);
    load_requests made{*data, {}};
    made.requests.reserve(load.distinct);
    for (std::uint32_t variant = 0; variant < load.distinct; ++variant)
      made.requests.push_back(make_request(load, data->get(), random_stream{mix(seed, variant)}));
    pool.loads_.push_back(std::move(made));
  }
  return pool;
}

} // namespace engram::replay
