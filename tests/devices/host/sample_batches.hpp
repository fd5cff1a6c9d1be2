#pragma once

#include "engram/tests/devices/sample_work.hpp"

namespace engram::test {

/// Makes whole batches: several requests, some of them cut, with equal and different options.
class sample_batches {
public:
  explicit sample_batches(std::uint64_t seed) : work_(seed) {}

  dataset_ptr collection(std::size_t rows, std::size_t dim, element_type type = element_type::f32) {
    return work_.collection(rows, dim, type);
  }
  dataset_ptr graph(std::size_t nodes, std::size_t edges) {
    return work_.graph(nodes, edges / nodes);
  }
  work_batch_ptr search(const dataset_ptr& data) { return batch(operation::search, data); }
  work_batch_ptr score(const dataset_ptr& data) { return batch(operation::score, data); }
  work_batch_ptr spread(const dataset_ptr& data) { return batch(operation::spread, data); }
  work_batch_ptr similarity() { return batch(operation::similarity, nullptr); }

private:
  work_batch_ptr batch(operation op, const dataset_ptr& data) {
    std::vector<work_item> items;
    payload_ptr payload;
    for (auto count = work_.number(1, 6); count > 0; --count) {
      // Neighbours are often of one request, or ask for the same.
      if (!payload || work_.number(0, 2) > 0)
        payload = work_.payload(op, data, 24, work_.number(1, 12));
      const auto first = work_.number(0, payload->items() - 1);
      items.push_back({payload, first, work_.number(1, payload->items() - first)});
    }
    return batch_of(std::move(items));
  }

  sample_work work_;
};

} // namespace engram::test
