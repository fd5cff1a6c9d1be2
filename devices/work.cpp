#include "engram/devices/work.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

/// Returns the hits that one query or seed set of `payload` brings back at most.
std::uint64_t hits_each(const work_payload& payload) noexcept {
  if (payload.op == operation::search)
    return std::min<std::uint64_t>(payload.k, payload.data->collection()->size());
  const std::uint64_t nodes = payload.data->graph()->nodes();
  return payload.spread.top ? std::min<std::uint64_t>(payload.spread.top, nodes) : nodes;
}

std::uint64_t input_bytes(const work_item& item) noexcept {
  const auto& payload = *item.payload;
  switch (payload.op) {
  case operation::search:
    return item.count * (payload.dim + 1) * sizeof(float);
  case operation::similarity:
    return (item.count + 1) * payload.dim * sizeof(float);
  case operation::score:
    return payload.dim * sizeof(float) + item.count * sizeof(row_id);
  case operation::spread:
    break;
  }
  std::uint64_t seeds = 0;
  for (std::size_t i = item.first; i < item.first + item.count; ++i)
    seeds += payload.seed_sets[i].size();
  return seeds * sizeof(seed);
}

std::uint64_t output_bytes(const work_item& item) noexcept {
  switch (item.payload->op) {
  case operation::search:
  case operation::spread:
    return item.count * hits_each(*item.payload) * sizeof(hit);
  case operation::similarity:
  case operation::score:
    break;
  }
  return item.count * sizeof(float);
}

} // namespace

std::shared_ptr<work_batch> whole_batch(payload_ptr payload) {
  auto batch = std::make_shared<work_batch>();
  batch->op = payload->op;
  batch->data = payload->data;
  batch->dim = payload->dim;
  const auto count = payload->items();
  batch->items.push_back({std::move(payload), 0, count});
  return batch;
}

std::size_t work_payload::items() const noexcept {
  switch (op) {
  case operation::search:
    return query_rows().rows();
  case operation::similarity:
    return target_rows().rows();
  case operation::score:
    return ids.size();
  case operation::spread:
    break;
  }
  return seed_sets.size();
}

double work_of(const work_payload& payload, std::size_t count) noexcept {
  const auto items = static_cast<double>(count);
  const auto dim = static_cast<double>(payload.dim);
  switch (payload.op) {
  case operation::search:
    return items * static_cast<double>(payload.data->collection()->size()) * dim;
  case operation::similarity:
  case operation::score:
    return items * dim;
  case operation::spread:
    break;
  }
  return items * static_cast<double>(payload.data->graph()->edges());
}

std::size_t work_batch::item_count() const noexcept {
  std::size_t sum = 0;
  for (const auto& item : items)
    sum += item.count;
  return sum;
}

double work_batch::work() const noexcept {
  double sum = 0.0;
  for (const auto& item : items)
    sum += work_of(*item.payload, item.count);
  return sum;
}

std::uint64_t input_bytes(const work_batch& batch) noexcept {
  std::uint64_t sum = 0;
  for (const auto& item : batch.items)
    sum += input_bytes(item);
  return sum;
}

std::uint64_t output_bytes(const work_batch& batch) noexcept {
  std::uint64_t sum = 0;
  for (const auto& item : batch.items)
    sum += output_bytes(item);
  return sum;
}

} // namespace engram
