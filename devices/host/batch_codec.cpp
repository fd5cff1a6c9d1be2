#include "engram/devices/host/batch_codec.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <type_traits>
#include <utility>

namespace engram {

namespace {

constexpr std::size_t of_inputs = 64; ///< alignment: kernels of the CPU read them where they are
constexpr std::size_t of_outputs = 8; ///< many small arrays, which are copied

/// Writes one array after the other, each aligned; remembers whether all of them fitted.
class array_writer {
public:
  array_writer(std::span<std::byte> memory, std::size_t alignment)
      : memory_(memory), alignment_(alignment) {}

  /// Returns room for `count` values, or null.
  template <class T>
  T* room(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto from = (used_ + alignment_ - 1) / alignment_ * alignment_;
    if (!fits_ || from > memory_.size() || count > (memory_.size() - from) / sizeof(T)) {
      fits_ = false;
      return nullptr;
    }
    used_ = from + count * sizeof(T);
    return reinterpret_cast<T*>(memory_.data() + from);
  }
  template <class T>
  void put(std::span<const T> values) {
    if (auto* at = room<T>(values.size()); at && !values.empty())
      std::memcpy(at, values.data(), values.size_bytes());
  }
  template <class T>
  void put(const std::vector<T>& values) {
    put(std::span<const T>{values});
  }
  template <class T>
  void put_one(const T& value) {
    put(std::span<const T>{&value, 1});
  }
  std::optional<std::size_t> bytes() const { return fits_ ? std::optional{used_} : std::nullopt; }

private:
  std::span<std::byte> memory_;
  std::size_t alignment_;
  std::size_t used_ = 0;
  bool fits_ = true;
};

/// Reads them in the same order. Trusts no length.
class array_reader {
public:
  array_reader(std::span<const std::byte> memory, std::size_t alignment)
      : memory_(memory), alignment_(alignment) {}

  template <class T>
  std::span<const T> take(std::size_t count) {
    const auto from = (used_ + alignment_ - 1) / alignment_ * alignment_;
    if (!sound_ || from > memory_.size() || count > (memory_.size() - from) / sizeof(T)) {
      sound_ = false;
      return {};
    }
    used_ = from + count * sizeof(T);
    return {reinterpret_cast<const T*>(memory_.data() + from), count};
  }
  template <class T>
  std::vector<T> copy(std::size_t count) {
    const auto values = take<T>(count);
    return {values.begin(), values.end()};
  }
  template <class T>
  T take_one() {
    const auto value = take<T>(1);
    return value.empty() ? T{} : value.front();
  }
  bool sound() const noexcept { return sound_; }

private:
  std::span<const std::byte> memory_;
  std::size_t alignment_;
  std::size_t used_ = 0;
  bool sound_ = true;
};

// -- batches --

struct batch_head {
  std::uint64_t id, dataset, dim, items, groups;
  operation op;
};

/// Neighbouring items that become one payload.
struct group_head {
  std::uint64_t units; ///< queries, targets, ids or seed sets
  std::uint64_t seeds; ///< of all seed sets
  std::uint32_t k;
  spread_options spread;
};

struct item_head {
  std::uint64_t group, first, count;
};

bool may_share_payload(const work_item& a, const work_item& b) noexcept {
  if (a.payload->op == operation::search) return a.payload->k == b.payload->k;
  return a.payload->op == operation::spread && a.payload->spread == b.payload->spread;
}

std::size_t group_end(const std::vector<work_item>& items, std::size_t first) {
  auto end = first + 1;
  while (end < items.size() && may_share_payload(items[first], items[end]))
    ++end;
  return end;
}

void write_seed_sets(std::span<const work_item> items, array_writer& out) {
  std::vector<std::uint64_t> lengths;
  std::vector<seed> seeds;
  for (const auto& item : items)
    for (std::size_t i = item.first; i < item.first + item.count; ++i) {
      const auto& set = item.payload->seed_sets[i];
      lengths.push_back(set.size());
      seeds.insert(seeds.end(), set.begin(), set.end());
    }
  out.put(lengths);
  out.put(seeds);
}

void write_search(std::span<const work_item> items, std::size_t units, std::size_t dim,
                  array_writer& out) {
  auto* queries = out.room<float>(units * dim);
  auto* norms = out.room<float>(units);
  if (!queries || !norms) return;
  for (const auto& item : items) {
    const auto rows = item.payload->query_rows().rows(item.first, item.count);
    queries = std::copy_n(rows.data(), rows.size(), queries);
    norms = std::copy_n(item.payload->inverse_norms.data() + item.first, item.count, norms);
  }
}

void write_group(std::span<const work_item> items, std::size_t dim, array_writer& out) {
  const auto& first = items.front();
  const auto& payload = *first.payload;
  group_head head{0, 0, payload.k, payload.spread};
  for (const auto& item : items) {
    head.units += item.count;
    if (payload.op == operation::spread)
      for (std::size_t i = item.first; i < item.first + item.count; ++i)
        head.seeds += item.payload->seed_sets[i].size();
  }
  out.put_one(head);
  switch (payload.op) {
  case operation::search:
    return write_search(items, head.units, dim, out);
  case operation::spread:
    return write_seed_sets(items, out);
  case operation::score:
    out.put(std::span{payload.ids}.subspan(first.first, first.count));
    break;
  case operation::similarity: {
    const auto rows = payload.target_rows().rows(first.first, first.count);
    out.put(std::span<const float>{rows.data(), rows.size()});
    break;
  }
  }
  out.put(std::span<const float>{payload.query_rows().data(), dim});
  out.put_one(payload.inverse_norms.front());
}

std::shared_ptr<work_payload> read_group(const batch_head& batch, const dataset_ptr& data,
                                         array_reader& in) {
  const auto head = in.take_one<group_head>();
  auto payload = std::make_shared<work_payload>();
  payload->op = batch.op;
  payload->data = data;
  payload->dim = batch.dim;
  payload->k = head.k;
  payload->spread = head.spread;
  // No batch has so many; their products with dim could overflow.
  if (head.units > UINT32_MAX) in.take<std::byte>(SIZE_MAX);
  switch (batch.op) {
  case operation::search:
    payload->borrowed_queries = in.take<float>(head.units * batch.dim);
    payload->inverse_norms = in.copy<float>(head.units);
    return payload;
  case operation::spread: {
    const auto lengths = in.take<std::uint64_t>(head.units);
    auto seeds = in.take<seed>(head.seeds);
    for (const auto length : lengths) {
      const auto count = std::min<std::size_t>(length, seeds.size());
      payload->seed_sets.emplace_back(seeds.begin(), seeds.begin() + static_cast<long>(count));
      seeds = seeds.subspan(count);
    }
    return payload;
  }
  case operation::score:
    payload->ids = in.copy<row_id>(head.units);
    break;
  case operation::similarity:
    payload->borrowed_targets = in.take<float>(head.units * batch.dim);
    break;
  }
  payload->borrowed_queries = in.take<float>(batch.dim);
  payload->inverse_norms = in.copy<float>(1);
  return payload;
}

// -- outputs --

struct output_head {
  std::uint64_t hits, counts, hops, scores;
};

/// Returns how many rows or nodes there are for hits to name.
std::size_t ids_of(const work_batch& batch) noexcept {
  if (batch.op == operation::search) return batch.data->collection()->size();
  return batch.op == operation::spread ? batch.data->graph()->nodes() : 0;
}

/// Returns whether `output` has the shape of an answer to `item`.
bool answers(const item_output& output, const work_item& item, std::size_t ids) noexcept {
  const auto op = item.payload->op;
  if (op == operation::similarity || op == operation::score)
    return output.scores.size() == item.count && output.hits.empty() && output.counts.empty() &&
           output.hops.empty();
  const auto hits = std::accumulate(output.counts.begin(), output.counts.end(), std::uint64_t{0});
  return output.counts.size() == item.count && hits == output.hits.size() &&
         output.hops.size() == (op == operation::spread ? item.count : 0) &&
         output.scores.empty() &&
         std::ranges::all_of(output.hits, [ids](const hit& each) { return each.id < ids; });
}

} // namespace

std::optional<std::size_t> write_batch(const work_batch& batch, std::span<std::byte> memory) {
  array_writer out(memory, of_inputs);
  std::vector<item_head> places;
  std::vector<std::size_t> ends;
  for (std::size_t first = 0; first < batch.items.size(); first = ends.back()) {
    ends.push_back(group_end(batch.items, first));
    std::uint64_t units = 0;
    for (auto i = first; i < ends.back(); ++i) {
      places.push_back({ends.size() - 1, units, batch.items[i].count});
      units += batch.items[i].count;
    }
  }
  out.put_one(batch_head{batch.id, batch.data ? batch.data->key : 0, batch.dim, places.size(),
                         ends.size(), batch.op});
  out.put(places);
  std::size_t first = 0;
  for (const auto end : ends) {
    write_group(std::span{batch.items}.subspan(first, end - first), batch.dim, out);
    first = end;
  }
  return out.bytes();
}

std::optional<work_batch> read_batch(std::span<const std::byte> memory,
                                     const std::function<dataset_ptr(std::uint64_t)>& find) {
  array_reader in(memory, of_inputs);
  const auto head = in.take_one<batch_head>();
  const auto places = in.take<item_head>(head.items);
  if (!in.sound() || head.op > operation::last_ || head.dim > max_dim) return std::nullopt;
  work_batch batch;
  batch.id = head.id;
  batch.op = head.op;
  batch.dim = head.dim;
  if (head.dataset != 0 && !(batch.data = find(head.dataset))) return std::nullopt;
  std::vector<payload_ptr> groups;
  for (std::uint64_t g = 0; g < head.groups && in.sound(); ++g)
    groups.push_back(read_group(head, batch.data, in));
  if (!in.sound()) return std::nullopt;
  for (const auto& place : places) {
    if (place.group >= groups.size()) return std::nullopt;
    batch.items.push_back({groups[place.group], place.first, place.count});
  }
  return batch;
}

std::optional<std::size_t> write_outputs(const std::vector<item_output>& outputs,
                                         std::span<std::byte> memory) {
  array_writer out(memory, of_outputs);
  out.put_one(std::uint64_t{outputs.size()});
  for (const auto& each : outputs) {
    out.put_one(
        output_head{each.hits.size(), each.counts.size(), each.hops.size(), each.scores.size()});
    out.put(each.hits);
    out.put(each.counts);
    out.put(each.hops);
    out.put(each.scores);
  }
  return out.bytes();
}

std::optional<std::vector<item_output>> read_outputs(std::span<const std::byte> memory,
                                                     const work_batch& batch) {
  array_reader in(memory, of_outputs);
  if (in.take_one<std::uint64_t>() != batch.items.size()) return std::nullopt;
  const auto ids = ids_of(batch);
  std::vector<item_output> outputs;
  for (const auto& item : batch.items) {
    const auto head = in.take_one<output_head>();
    auto& each = outputs.emplace_back();
    each.hits = in.copy<hit>(head.hits);
    each.counts = in.copy<std::uint32_t>(head.counts);
    each.hops = in.copy<std::uint32_t>(head.hops);
    each.scores = in.copy<float>(head.scores);
    if (!in.sound() || !answers(each, item, ids)) return std::nullopt;
  }
  return outputs;
}

} // namespace engram
