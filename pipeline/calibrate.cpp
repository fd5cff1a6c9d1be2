#include "engram/pipeline/calibrate.hpp"

#include "engram/kernels/cosine.hpp"

#include <algorithm>
#include <memory>
#include <optional>

namespace engram {

namespace {

constexpr auto patience = std::chrono::seconds{1};
/// A batch that took so long is not followed by a larger one.
constexpr double long_enough_seconds = 0.02;

payload_ptr sample(operation op, const dataset_ptr& data, std::size_t items) {
  auto work = std::make_shared<work_payload>();
  work->op = op;
  work->data = data;
  const auto add_query = [&](std::vector<float> query) {
    work->inverse_norms.push_back(inverse_norm(query));
    work->queries.insert(work->queries.end(), query.begin(), query.end());
  };
  const auto spaced = [&](std::size_t i, std::size_t of) {
    return i * std::max<std::size_t>(of / items, 1) % of;
  };
  switch (op) {
  case operation::similarity:
    work->dim = 256;
    work->targets.assign(items * work->dim, 0.5f);
    add_query(std::vector<float>(work->dim, 0.5f));
    break;
  case operation::search:
    work->dim = data->collection()->dim();
    work->k = 10;
    for (std::size_t i = 0; i < items; ++i)
      add_query(data->collection()->row(spaced(i, data->collection()->size())));
    break;
  case operation::score:
    work->dim = data->collection()->dim();
    add_query(data->collection()->row(0));
    for (std::size_t i = 0; i < items; ++i)
      work->ids.push_back(static_cast<row_id>(spaced(i, data->collection()->size())));
    break;
  case operation::spread:
    for (std::size_t i = 0; i < items; ++i)
      work->seed_sets.push_back({{static_cast<node_id>(spaced(i, data->graph()->nodes())), 1.0f}});
    break;
  }
  return work;
}

/// Returns the seconds the device was occupied, or nothing if it failed or was too slow.
std::optional<double> measure(device& on, const work_batch_ptr& batch) {
  const auto outcome = run_and_wait(on, batch, patience);
  if (!outcome || outcome->fault) return std::nullopt;
  return outcome->times.device_seconds;
}

void calibrate(pipeline_core& core, std::size_t index, operation op, const dataset_ptr& data) {
  auto& on = *core.workers[index]->device;
  bool warm = false;
  for (const std::size_t items :
       {std::size_t{1}, std::size_t{1}, std::size_t{16}, std::size_t{64}}) {
    const auto batch = whole_batch(sample(op, data, items));
    const auto seconds = measure(on, batch);
    if (!seconds) return;
    // The first run pays for cold caches and scratch memory.
    if (std::exchange(warm, true))
      core.costs.add({op, index, data ? data->key : 0}, batch->work(), *seconds);
    if (*seconds > long_enough_seconds && warm) return;
  }
}

} // namespace

void calibrate(pipeline_core& core, const dataset_ptr& data) {
  std::vector<operation> ops{operation::similarity};
  if (data)
    ops = data->graph() ? std::vector{operation::spread}
                        : std::vector{operation::search, operation::score};
  for (std::size_t i = 0; i < core.workers.size(); ++i)
    if (i == 0 || !data || core.workers[i]->device->is_resident(data->key))
      for (const auto op : ops)
        calibrate(core, i, op, data);
}

} // namespace engram
