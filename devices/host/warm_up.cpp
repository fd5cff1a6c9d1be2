#include "engram/devices/host/warm_up.hpp"

#include <chrono>
#include <memory>
#include <vector>

namespace engram {

namespace {

constexpr auto patience = std::chrono::seconds{5};
// Twice, so that graphs are captured, and for few and many queries, which different kernels answer.
constexpr std::size_t sizes[] = {1, 1, 32};
constexpr std::size_t similarity_dim = 256;

work_batch_ptr sample(operation op, const dataset_ptr& data, std::size_t items) {
  auto payload = std::make_shared<work_payload>();
  payload->op = op;
  payload->k = 10;
  if (op != operation::similarity) payload->data = data;
  if (op == operation::spread) {
    for (std::size_t i = 0; i < items; ++i)
      payload->seed_sets.push_back({{static_cast<node_id>(i % data->graph()->nodes()), 1.0f}});
  } else {
    payload->dim = op == operation::similarity ? similarity_dim : data->collection()->dim();
    const std::size_t queries = op == operation::search ? items : 1;
    payload->queries.assign(queries * payload->dim, 1.0f);
    payload->inverse_norms.assign(queries, 1.0f / static_cast<float>(payload->dim));
    if (op == operation::similarity) payload->targets.assign(items * payload->dim, 1.0f);
    if (op == operation::score)
      for (std::size_t i = 0; i < items; ++i)
        payload->ids.push_back(static_cast<row_id>(i % data->collection()->size()));
  }
  return whole_batch(payload);
}

result<void> run(device& on, const work_batch_ptr& batch) {
  const auto outcome = run_and_wait(on, batch, patience);
  if (!outcome) return error{ec::unavailable, on.info().name + " does not answer."};
  if (outcome->fault) return error{ec::unavailable, outcome->fault->message};
  return {};
}

} // namespace

result<void> warm_up(device& on, const dataset_ptr& data) {
  std::vector<operation> ops{operation::similarity};
  if (data->graph()) {
    ops.push_back(operation::spread);
  } else {
    ops.push_back(operation::search);
    ops.push_back(operation::score);
  }
  for (const auto op : ops)
    for (const auto items : sizes)
      if (auto ran = run(on, sample(op, data, items)); !ran) return ran;
  return {};
}

} // namespace engram
