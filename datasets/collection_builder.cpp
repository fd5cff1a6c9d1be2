#include "engram/datasets/collection_builder.hpp"

#include "engram/datasets/text_embedder.hpp"
#include "engram/kernels/cosine.hpp"
#include "engram/kernels/float16.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace engram {

namespace {

constexpr std::size_t alignment = 64;

/// Multiplies `row` by a power of two so that its largest magnitude is in [1, 2), unless float16
/// holds it well already. The bounds leave unit-norm rows of any dim alone, and keep what is lost
/// below 2^-14 at less than half a unit in the last place of the largest component.
void rescale_for_f16(std::span<float> row) noexcept {
  float largest = 0.0f;
  for (const float x : row)
    largest = std::max(largest, std::fabs(x));
  if (largest == 0.0f || (largest >= 0x1p-8f && largest < 0x1p15f)) return;
  const float scale = std::ldexp(1.0f, -std::ilogb(largest));
  for (float& x : row)
    x *= scale;
}

error no_memory_for(std::uint64_t rows, std::uint64_t dim, std::uint64_t bytes) {
  return {ec::resource_exhausted, "a collection of " + std::to_string(rows) + " x " +
                                      std::to_string(dim) + " needs " + std::to_string(bytes) +
                                      " bytes of memory, which could not be had; use a smaller "
                                      "collection or a 16-bit element type"};
}

error non_finite_error(std::size_t row, std::size_t column) {
  return {ec::invalid_argument, "row " + std::to_string(row) + ", column " +
                                    std::to_string(column) +
                                    " is a NaN or an infinity; every number must be finite"};
}

} // namespace

result<collection_builder> collection_builder::create(std::uint64_t rows, std::uint64_t dim,
                                                      element_type type) {
  if (rows == 0 || rows > std::numeric_limits<row_id>::max())
    return error{ec::invalid_argument,
                 "a collection has 1 to 4294967295 rows, not " + std::to_string(rows)};
  if (dim == 0 || dim > max_dim)
    return error{ec::invalid_argument, "a collection has 1 to " + std::to_string(max_dim) +
                                           " columns, not " + std::to_string(dim)};
  // Below 2^47, so nothing here overflows.
  const std::uint64_t bytes = rows * dim * size_of(type);
  const std::uint64_t padded = (bytes + alignment - 1) / alignment * alignment;
  collection_builder builder;
  try {
    builder.target_ = std::shared_ptr<vector_collection>(new vector_collection);
    builder.target_->data_.reset(static_cast<std::byte*>(std::aligned_alloc(alignment, padded)));
    if (!builder.target_->data_) return no_memory_for(rows, dim, bytes);
    builder.target_->inverse_norms_.resize(rows);
    builder.row_.resize(dim);
  } catch (const std::bad_alloc&) {
    return no_memory_for(rows, dim, bytes);
  }
  builder.target_->size_ = rows;
  builder.target_->dim_ = dim;
  builder.target_->type_ = type;
  return builder;
}

result<void> collection_builder::append(matrix_view<const float> rows) {
  const std::size_t dim = target_->dim_;
  if (rows.cols() != dim || rows.rows() > target_->size_ - filled_)
    return error{ec::invalid_argument,
                 "rows [" + std::to_string(rows.rows()) + ", " + std::to_string(rows.cols()) +
                     "] do not fit behind row " + std::to_string(filled_) + " of a collection of " +
                     std::to_string(target_->size_) + " x " + std::to_string(dim)};
  // Blocks that stay in the cache between the check and the copy.
  const std::size_t block = std::max<std::size_t>(1, 65536 / dim);
  for (std::size_t first = 0; first < rows.rows(); first += block) {
    const auto part = rows.rows(first, std::min(block, rows.rows() - first));
    if (const auto bad = find_non_finite(part))
      return non_finite_error(filled_ + bad->row, bad->column);
    for (std::size_t r = 0; r < part.rows(); ++r)
      store_row(part.row(r));
  }
  return {};
}

void collection_builder::store_row(std::span<const float> row) {
  auto& to = *target_;
  std::byte* place = to.data_.get() + filled_ * to.dim_ * size_of(to.type_);
  std::copy(row.begin(), row.end(), row_.begin());
  rescale_power_of_two(row_);
  if (to.type_ == element_type::f16) rescale_for_f16(row_);
  narrow(to.type_, row_, place);
  // The norm belongs to what is stored, not to what was given.
  if (to.type_ != element_type::f32) widen(to.type_, place, row_);
  to.inverse_norms_[filled_++] = inverse_norm(row_);
}

std::span<std::byte> collection_builder::storage() noexcept {
  return {target_->data_.get(), target_->size_ * target_->dim_ * size_of(target_->type_)};
}

result<void> collection_builder::accept_storage() {
  auto& to = *target_;
  for (std::size_t r = 0; r < to.size_; ++r) {
    widen(to.type_, to.data_.get() + r * to.dim_ * size_of(to.type_), row_);
    if (const auto bad = find_non_finite({row_.data(), 1, to.dim_}))
      return non_finite_error(r, bad->column);
    const float inverse = inverse_norm(row_);
    if (inverse != 0.0f && (inverse < 0x1p-40f || inverse > 0x1p40f))
      return error{ec::invalid_argument, "row " + std::to_string(r) +
                                             " has a norm outside [2^-40, 2^40]; import the "
                                             "data again instead of editing stored files"};
    to.inverse_norms_[r] = inverse;
  }
  filled_ = to.size_;
  return {};
}

result<std::shared_ptr<const vector_collection>>
collection_builder::finish(std::vector<std::string> labels,
                           std::shared_ptr<const text_embedder> embedder) && {
  if (filled_ != target_->size_)
    return error{ec::invalid_argument, "only " + std::to_string(filled_) + " of " +
                                           std::to_string(target_->size_) +
                                           " rows of the collection were given"};
  if (!labels.empty() && labels.size() != target_->size_)
    return error{ec::invalid_argument, std::to_string(labels.size()) + " labels for " +
                                           std::to_string(target_->size_) +
                                           " rows; give one label a row or none"};
  if (embedder && embedder->dim() != target_->dim_)
    return error{ec::invalid_argument, "an embedder of dim " + std::to_string(embedder->dim()) +
                                           " cannot make queries for a collection of dim " +
                                           std::to_string(target_->dim_)};
  target_->labels_ = std::move(labels);
  target_->embedder_ = std::move(embedder);
  return std::shared_ptr<const vector_collection>(std::move(target_));
}

} // namespace engram
