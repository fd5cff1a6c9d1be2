#pragma once

/// Device memory for the GPU tests.

#include "engram/kernels/cuda/device_rows.hpp"
#include "engram/kernels/cuda/narrow.hpp"
#include "engram/tests/kernels/vectors.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace engram::test {

/// Device memory with a copy of `host`, freed at the end.
template <class T>
class on_device {
public:
  explicit on_device(const std::vector<T>& host) : size_(host.size()) {
    EXPECT_EQ(cudaMalloc(&data_, bytes() + 1), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(data_, host.data(), bytes(), cudaMemcpyHostToDevice), cudaSuccess);
  }
  explicit on_device(std::size_t size) : on_device(std::vector<T>(size)) {}
  ~on_device() { cudaFree(data_); }
  on_device(on_device&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  on_device& operator=(on_device&&) = delete;

  T* get() const { return static_cast<T*>(data_); }
  std::vector<T> fetch() const {
    std::vector<T> host(size_);
    EXPECT_EQ(cudaMemcpy(host.data(), data_, bytes(), cudaMemcpyDeviceToHost), cudaSuccess);
    return host;
  }

private:
  std::size_t bytes() const { return size_ * sizeof(T); }
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Returns rows of `row_bytes` each at distances of `stride_bytes`, zeros between.
inline std::vector<std::byte> spaced(const void* data, std::size_t rows, std::size_t row_bytes,
                                     std::size_t stride_bytes) {
  std::vector<std::byte> out(rows * stride_bytes);
  for (std::size_t r = 0; r < rows; ++r)
    std::memcpy(out.data() + r * stride_bytes, static_cast<const std::byte*>(data) + r * row_bytes,
                row_bytes);
  return out;
}

/// float32 vectors, padded as the kernels want them.
inline std::vector<float> padded(const matrix& m) {
  const auto stride = cuda::row_stride(m.dim);
  std::vector<float> out(m.rows * stride);
  for (std::size_t r = 0; r < m.rows; ++r)
    std::copy_n(m.row(r).data(), m.dim, out.data() + r * stride);
  return out;
}

/// Stored rows on the GPU, with their narrow copy where they need one.
class resident_rows {
public:
  explicit resident_rows(const stored_rows& rows)
      : data_(spaced(rows.bytes.data(), rows.rows, rows.dim * size_of(rows.type),
                     cuda::row_stride(rows.dim) * size_of(rows.type))),
        norms_(rows.inverse_norms),
        narrow_(rows.type == element_type::f32 ? rows.rows * cuda::row_stride(rows.dim) : 0) {
    view_ = {.data = data_.get(),
             .type = rows.type,
             .rows = rows.rows,
             .dim = rows.dim,
             .inverse_norms = norms_.get(),
             .narrow = data_.get(),
             .narrow_type = rows.type,
             .narrow_residual = 0.0f};
    if (rows.type != element_type::f32) return;
    const on_device<float> residual(std::vector<float>{0.0f});
    EXPECT_EQ(cuda::narrow_rows(reinterpret_cast<const float*>(data_.get()), norms_.get(),
                                rows.rows, view_.stride(), narrow_.get(), residual.get(), nullptr),
              cudaSuccess);
    view_.narrow = narrow_.get();
    view_.narrow_type = element_type::bf16;
    view_.narrow_residual = residual.fetch().front();
  }

  const cuda::device_rows& view() const { return view_; }

private:
  on_device<std::byte> data_;
  on_device<float> norms_;
  on_device<std::uint16_t> narrow_;
  cuda::device_rows view_;
};

} // namespace engram::test
