#pragma once

#include "engram/base/error.hpp"
#include "engram/base/views.hpp"
#include "engram/kernels/rows.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

class text_embedder;

inline constexpr std::size_t max_dim = 8192;

/// Resident vectors [n, dim] with the inverse norm of each row, and optionally a label for each row
/// and the embedder that made them. Immutable, therefore thread-safe.
class vector_collection {
public:
  /// Copies `rows` [n, dim] into storage of `type`. Rows with extreme norms are rescaled by a power
  /// of two (cosines do not change). `invalid_argument`: n = 0 or above 2^32 - 1, dim
  /// outside 1..8192, a NaN or an infinity (names the row and column of the first one), labels that
  /// are neither empty nor n, an embedder of another dim.
  static result<std::shared_ptr<const vector_collection>>
  make(matrix_view<const float> rows, element_type type = element_type::f32,
       std::vector<std::string> labels = {},
       std::shared_ptr<const text_embedder> embedder = nullptr);

  /// Returns a collection of rows that lie elsewhere, in memory that `keeper` keeps alive. They are
  /// those of another collection and are not checked again; null pointers make a collection that
  /// has its shape alone.
  static std::shared_ptr<const vector_collection> borrow(const row_view& rows,
                                                         std::shared_ptr<const void> keeper);

  std::size_t size() const noexcept { return size_; }
  std::size_t dim() const noexcept { return dim_; }
  element_type type() const noexcept { return type_; }
  /// Returns what the kernels read: rows 64-byte aligned at row 0, row-major without gaps.
  row_view rows() const noexcept;
  /// Returns row `r` [dim] widened to float32. r < size().
  std::vector<float> row(std::size_t r) const;

  bool has_labels() const noexcept { return !labels_.empty(); }
  /// Returns the label of row `r`, empty without labels.
  std::string_view label(std::size_t r) const noexcept {
    return labels_.empty() ? std::string_view{} : std::string_view{labels_[r]};
  }
  std::span<const std::string> labels() const noexcept { return labels_; }
  /// Returns what turns words into queries for this collection, or nullptr.
  const std::shared_ptr<const text_embedder>& embedder() const noexcept { return embedder_; }
  /// Returns the bytes of rows and norms.
  std::uint64_t resident_bytes() const noexcept;

private:
  friend class collection_builder;

  vector_collection() = default;

  struct aligned_free {
    void operator()(std::byte* p) const noexcept;
  };
  std::unique_ptr<std::byte[], aligned_free> data_;
  std::vector<float> inverse_norms_;
  std::shared_ptr<const void> keeper_; ///< of `borrowed_`
  std::optional<row_view> borrowed_;
  std::vector<std::string> labels_;
  std::shared_ptr<const text_embedder> embedder_;
  std::size_t size_ = 0;
  std::size_t dim_ = 0;
  element_type type_ = element_type::f32;
};

} // namespace engram
