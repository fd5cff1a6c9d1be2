// The reference that answers are compared with. Written for reading; shares nothing with
// cpu_engine.cpp.

#include "engram/devices/cpu_device.hpp"
#include "engram/kernels/cosine.hpp"
#include "engram/kernels/spread.hpp"

#include <algorithm>
#include <numeric>

namespace engram {

namespace {

const cosine_kernels& scalar() {
  return cosine_kernels_for(isa::scalar);
}

item_output search(const work_payload& payload, std::size_t first, std::size_t last) {
  const auto rows = payload.data->collection()->rows();
  std::vector<row_id> all_ids(rows.rows);
  std::iota(all_ids.begin(), all_ids.end(), row_id{0});
  std::vector<float> scores(rows.rows);

  item_output output;
  for (std::size_t q = first; q < last; ++q) {
    scalar().score(payload.query_rows().row(q), payload.inverse_norms[q], rows, all_ids, scores);
    std::vector<hit> hits;
    for (const row_id id : all_ids)
      hits.push_back({id, scores[id]});
    const auto kept = std::min<std::size_t>(payload.k, hits.size());
    std::partial_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(kept), hits.end(),
                      ranks_before);
    hits.resize(kept);
    output.hits.insert(output.hits.end(), hits.begin(), hits.end());
    output.counts.push_back(static_cast<std::uint32_t>(kept));
  }
  return output;
}

item_output similarity(const work_payload& payload, std::size_t first, std::size_t last) {
  item_output output;
  output.scores.resize(last - first);
  scalar().similarity(payload.query_rows().row(0), payload.inverse_norms[0],
                      payload.target_rows().rows(first, last - first), output.scores);
  return output;
}

item_output score(const work_payload& payload, std::size_t first, std::size_t last) {
  item_output output;
  output.scores.resize(last - first);
  scalar().score(payload.query_rows().row(0), payload.inverse_norms[0],
                 payload.data->collection()->rows(),
                 std::span(payload.ids).subspan(first, last - first), output.scores);
  return output;
}

item_output spread(const work_payload& payload, std::size_t first, std::size_t last) {
  item_output output;
  for (std::size_t i = first; i < last; ++i) {
    const auto result =
        spread_reference(payload.data->graph()->view(), payload.seed_sets[i], payload.spread);
    output.hits.insert(output.hits.end(), result.hits.begin(), result.hits.end());
    output.counts.push_back(static_cast<std::uint32_t>(result.hits.size()));
    output.hops.push_back(result.hops);
  }
  return output;
}

item_output output_of(const work_item& item) {
  const auto last = item.first + item.count;
  switch (item.payload->op) {
  case operation::search:
    return search(*item.payload, item.first, last);
  case operation::similarity:
    return similarity(*item.payload, item.first, last);
  case operation::score:
    return score(*item.payload, item.first, last);
  case operation::spread:
    break;
  }
  return spread(*item.payload, item.first, last);
}

} // namespace

std::vector<item_output> compute_reference(const work_batch& batch) {
  std::vector<item_output> outputs;
  for (const auto& item : batch.items)
    outputs.push_back(output_of(item));
  return outputs;
}

} // namespace engram
