// A part of a batch, run by itself, gives that part of the batch's outputs.

#include "engram/actors/batch_slice.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/kernels/cosine.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace {

using namespace engram;

constexpr std::size_t dim = 5;

std::vector<float> numbers(std::size_t count, std::size_t seed) {
  std::vector<float> out(count);
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(((i + seed) * 7919) % 23) - 11.0f;
  return out;
}

dataset_ptr vectors() {
  auto data = std::make_shared<dataset>();
  data->name = "vectors";
  data->content = *vector_collection::make({numbers(20 * dim, 0).data(), 20, dim});
  return data;
}

dataset_ptr ring() {
  std::vector<edge> edges;
  for (node_id i = 0; i < 12; ++i)
    edges.push_back({i, (i + 1) % 12, 0.5f});
  auto data = std::make_shared<dataset>();
  data->name = "ring";
  data->content = *activation_graph::make(12, edges);
  return data;
}

payload_ptr payload_of(operation op, const dataset_ptr& data, std::size_t items, std::size_t seed) {
  auto work = std::make_shared<work_payload>();
  work->op = op;
  work->data = data;
  work->dim = op == operation::spread ? 0 : dim;
  work->k = static_cast<std::uint32_t>(3 + seed);
  for (std::size_t i = 0; i < items && op == operation::spread; ++i)
    work->seed_sets.push_back({{static_cast<node_id>((i + seed) % 12), 1.0f}});
  if (op == operation::spread) return work;
  work->queries = numbers((op == operation::search ? items : 1) * dim, seed);
  for (std::size_t q = 0; q * dim < work->queries.size(); ++q)
    work->inverse_norms.push_back(inverse_norm(work->query_rows().row(q)));
  if (op == operation::similarity) work->targets = numbers(items * dim, seed + 1);
  for (std::size_t i = 0; i < items && op == operation::score; ++i)
    work->ids.push_back(static_cast<row_id>((i + seed) % 20));
  return work;
}

class batch_slice_of : public ::testing::TestWithParam<operation> {
protected:
  batch_slice_of() {
    const auto op = GetParam();
    const auto data = op == operation::similarity ? nullptr
                      : op == operation::spread   ? ring()
                                                  : vectors();
    batch.op = op;
    batch.data = data;
    batch.dim = op == operation::spread ? 0 : dim;
    batch.items = {{payload_of(op, data, 3, 1), 0, 3},
                   {payload_of(op, data, 6, 2), 2, 4}, // a part of a request
                   {payload_of(op, data, 1, 3), 0, 1}};
    outputs = compute_reference(batch);
  }
  work_batch batch;
  std::vector<item_output> outputs;
};

TEST_P(batch_slice_of, is_what_the_part_gives_by_itself) {
  const auto items = batch.item_count();
  ASSERT_EQ(items, 8u);
  for (std::size_t first = 0; first < items; ++first)
    for (std::size_t count = 1; first + count <= items; ++count) {
      const auto part = slice(batch, outputs, first, count);
      EXPECT_EQ(part.batch->item_count(), count);
      EXPECT_EQ(part.outputs, compute_reference(*part.batch)) << first << " + " << count;
    }
}

TEST_P(batch_slice_of, the_whole_is_the_whole) {
  EXPECT_EQ(slice(batch, outputs, 0, 8).outputs, outputs);
}

TEST_P(batch_slice_of, broken_outputs_are_cut_short) {
  for (auto& each : outputs) {
    for (auto& count : each.counts)
      count = 1'000'000;
    each.scores.resize(each.scores.size() / 2);
    each.hops.clear();
  }
  outputs.pop_back();
  for (std::size_t first = 0; first < 8; ++first) {
    const auto part = slice(batch, outputs, first, 8 - first);
    EXPECT_EQ(part.outputs.size(), part.batch->items.size());
    EXPECT_NE(part.outputs, compute_reference(*part.batch));
  }
}

INSTANTIATE_TEST_SUITE_P(every_operation, batch_slice_of,
                         ::testing::Values(operation::search, operation::similarity,
                                           operation::score, operation::spread),
                         [](const auto& each) { return std::string{to_string(each.param)}; });

} // namespace
