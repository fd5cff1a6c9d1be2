#pragma once

#include <cstddef>
#include <span>

namespace engram {

/// A dense row-major matrix that somebody else owns; rows follow each other without a gap.
template <class T>
class matrix_view {
public:
  constexpr matrix_view() noexcept = default;
  constexpr matrix_view(T* data, std::size_t rows, std::size_t cols) noexcept
      : data_(data), rows_(rows), cols_(cols) {}
  /// A view of mutable data is usable where a view of const data is asked for.
  constexpr operator matrix_view<const T>() const noexcept { return {data_, rows_, cols_}; }

  constexpr T* data() const noexcept { return data_; }
  constexpr std::size_t rows() const noexcept { return rows_; }
  constexpr std::size_t cols() const noexcept { return cols_; }
  constexpr std::size_t size() const noexcept { return rows_ * cols_; }
  constexpr bool empty() const noexcept { return size() == 0; }
  constexpr std::span<T> row(std::size_t r) const noexcept { return {data_ + r * cols_, cols_}; }
  /// Returns rows [first, first + count).
  constexpr matrix_view rows(std::size_t first, std::size_t count) const noexcept {
    return {data_ + first * cols_, count, cols_};
  }

private:
  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
};

} // namespace engram
