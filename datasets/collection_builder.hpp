#pragma once

#include "engram/base/error.hpp"
#include "engram/datasets/vector_collection.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace engram {

/// Makes a vector_collection of a known shape piece by piece, so that a big file is never in memory
/// twice. Not thread-safe.
class collection_builder {
public:
  /// Takes the memory for [rows, dim] of `type`. `invalid_argument`: a shape that no collection
  /// has; `resource_exhausted`: the memory is not there.
  static result<collection_builder> create(std::uint64_t rows, std::uint64_t dim,
                                           element_type type);

  /// Returns how many rows the collection will have.
  std::size_t rows() const noexcept { return target_->size(); }

  /// Stores `rows` [any, dim] behind those already there. `invalid_argument`: a NaN or an infinity
  /// (names its row in the whole collection and its column); no more rows are taken then.
  result<void> append(matrix_view<const float> rows);

  /// Returns the memory of all rows, for a caller that has them in storage form already.
  std::span<std::byte> storage() noexcept;
  /// Counts all rows as filled through `storage`, unchanged, and computes their norms.
  /// `invalid_argument` as for `append`, and for a row whose norm the kernels do not take (stored
  /// by no builder).
  result<void> accept_storage();

  /// Returns the collection. Every row has been filled. `invalid_argument`: labels that are neither
  /// empty nor one a row, an embedder of another dim.
  result<std::shared_ptr<const vector_collection>>
  finish(std::vector<std::string> labels, std::shared_ptr<const text_embedder> embedder) &&;

private:
  collection_builder() = default;

  void store_row(std::span<const float> row);

  std::shared_ptr<vector_collection> target_;
  std::vector<float> row_; ///< [dim] the row being stored
  std::size_t filled_ = 0;
};

} // namespace engram
