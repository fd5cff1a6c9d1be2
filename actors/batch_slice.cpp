#include "engram/actors/batch_slice.hpp"

#include <algorithm>
#include <utility>

namespace engram {

namespace {

/// Returns elements [first, first + count) of `from`, as far as there are any.
template <class T>
std::vector<T> part_of(const std::vector<T>& from, std::size_t first, std::size_t count) {
  const auto begin = std::min(first, from.size());
  const auto end = begin + std::min(count, from.size() - begin);
  return {from.begin() + static_cast<std::ptrdiff_t>(begin),
          from.begin() + static_cast<std::ptrdiff_t>(end)};
}

std::size_t hits_of(const std::vector<std::uint32_t>& counts, std::size_t first,
                    std::size_t count) {
  std::size_t sum = 0;
  for (const auto each : part_of(counts, first, count))
    sum += each;
  return sum;
}

item_output part_of(const item_output& from, std::size_t first, std::size_t count) {
  item_output out;
  out.counts = part_of(from.counts, first, count);
  out.hits = part_of(from.hits, hits_of(from.counts, 0, first), hits_of(from.counts, first, count));
  out.hops = part_of(from.hops, first, count);
  out.scores = part_of(from.scores, first, count);
  return out;
}

} // namespace

batch_slice slice(const work_batch& batch, const std::vector<item_output>& outputs,
                  std::size_t first, std::size_t count) {
  auto part = std::make_shared<work_batch>();
  part->id = batch.id;
  part->op = batch.op;
  part->data = batch.data;
  part->dim = batch.dim;
  batch_slice result;
  std::size_t seen = 0; // items of the batch that came before
  for (std::size_t i = 0; i < batch.items.size(); ++i) {
    const auto& item = batch.items[i];
    const auto from = first > seen ? std::min(first - seen, item.count) : 0;
    const auto until = first + count > seen ? std::min(first + count - seen, item.count) : 0;
    seen += item.count;
    if (from >= until) continue;
    part->items.push_back({item.payload, item.first + from, until - from});
    result.outputs.push_back(i < outputs.size() ? part_of(outputs[i], from, until - from)
                                                : item_output{});
  }
  result.batch = std::move(part);
  return result;
}

} // namespace engram
