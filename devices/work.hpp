#pragma once

#include "engram/base/ids.hpp"
#include "engram/base/views.hpp"
#include "engram/datasets/dataset.hpp"
#include "engram/kernels/spread.hpp"
#include "engram/kernels/top_k.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace engram {

/// What one accepted request brings, checked: shapes fit, numbers are finite, norms are in the
/// range of the kernels' contract, ids and nodes exist. Never changes once it is shared.
struct work_payload {
  operation op = operation::search;
  dataset_ptr data;    ///< null for similarity
  std::size_t dim = 0; ///< 0 for spread

  /// search: the queries [q, dim]; similarity and score: the one query [1, dim].
  std::vector<float> queries;
  std::vector<float> inverse_norms; ///< one for each row of `queries`
  std::uint32_t k = 0;              ///< search
  std::vector<float> targets;       ///< similarity: [m, dim]
  /// Where the queries and the targets lie if not in the vectors: in memory of somebody else, who
  /// keeps it until the batch is answered, or of the lenders.
  std::span<const float> borrowed_queries, borrowed_targets;
  std::shared_ptr<const void> query_lender, target_lender; ///< may be null
  std::vector<row_id> ids;                                 ///< score
  std::vector<std::vector<seed>> seed_sets;                ///< spread
  spread_options spread;                                   ///< spread: for every seed set

  matrix_view<const float> query_rows() const noexcept {
    return rows_of(borrowed_queries.empty() ? std::span{queries} : borrowed_queries);
  }
  matrix_view<const float> target_rows() const noexcept {
    return rows_of(borrowed_targets.empty() ? std::span{targets} : borrowed_targets);
  }
  /// Returns the number of items: queries, targets, ids or seed sets.
  std::size_t items() const noexcept;

private:
  matrix_view<const float> rows_of(std::span<const float> numbers) const noexcept {
    return {numbers.data(), dim ? numbers.size() / dim : 0, dim};
  }
};

using payload_ptr = std::shared_ptr<const work_payload>;

/// Items [first, first + count) of one request.
struct work_item {
  payload_ptr payload;
  std::size_t first = 0;
  std::size_t count = 0;
};

/// Work of one operation on one dataset that a device does in one go. Immutable once dispatched.
struct work_batch {
  batch_id id = 0;
  operation op = operation::search;
  dataset_ptr data;    ///< null for similarity
  std::size_t dim = 0; ///< 0 for spread; the same for all items
  std::vector<work_item> items;
  double expected_seconds = 0; ///< what its first device is predicted to take; 0: unknown

  /// Returns the sum of the items' counts.
  std::size_t item_count() const noexcept;
  /// Returns what a device must do: search queries x n x dim; similarity and score pairs x dim;
  /// spread seed sets x edges of the graph. Multiply-adds, roughly; the unit of every cost
  /// prediction.
  double work() const noexcept;
};

using work_batch_ptr = std::shared_ptr<const work_batch>;

/// Returns the batch of one whole payload, not numbered yet.
std::shared_ptr<work_batch> whole_batch(payload_ptr payload);

/// The answer to one work_item.
struct item_output {
  std::vector<hit>
      hits; ///< search and spread: the rows of all queries or seed sets one after the other
  std::vector<std::uint32_t> counts; ///< search and spread: hits of each query or seed set
  std::vector<std::uint32_t> hops;   ///< spread: hops taken by each seed set
  std::vector<float> scores;         ///< similarity and score: one for each target or id

  friend bool operator==(const item_output&, const item_output&) = default;
};

/// Returns the multiply-adds of `count` items of `payload`; see work_batch::work.
double work_of(const work_payload& payload, std::size_t count) noexcept;

/// Returns the bytes that travel to a device for `batch`, whose dataset is there: queries, targets,
/// ids or seeds.
std::uint64_t input_bytes(const work_batch& batch) noexcept;
/// Returns the bytes that travel back at most: hits or scores.
std::uint64_t output_bytes(const work_batch& batch) noexcept;

} // namespace engram
