#pragma once

/// CUDA's resources as values: each is freed with its object. Errors are cudaError_t.

#include "engram/devices/vram_budget.hpp"

#include <cuda_runtime_api.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace engram {

namespace cuda_detail {
struct free_device {
  void operator()(std::byte* at) const noexcept { cudaFree(at); }
};
struct free_pinned {
  void operator()(std::byte* at) const noexcept { cudaFreeHost(at); }
};
struct destroy_stream {
  void operator()(cudaStream_t stream) const noexcept { cudaStreamDestroy(stream); }
};
struct destroy_event {
  void operator()(cudaEvent_t event) const noexcept { cudaEventDestroy(event); }
};
struct destroy_graph {
  void operator()(cudaGraphExec_t graph) const noexcept { cudaGraphExecDestroy(graph); }
};
} // namespace cuda_detail

using cuda_stream =
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, cuda_detail::destroy_stream>;
using cuda_event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, cuda_detail::destroy_event>;
using cuda_graph =
    std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, cuda_detail::destroy_graph>;

inline cudaError_t make(cuda_stream& out) noexcept {
  cudaStream_t made = nullptr;
  const auto code = cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking);
  out.reset(made);
  return code;
}

inline cudaError_t make(cuda_event& out) noexcept {
  cudaEvent_t made = nullptr;
  const auto code = cudaEventCreateWithFlags(&made, cudaEventBlockingSync);
  out.reset(made);
  return code;
}

/// Device memory within a budget.
class device_memory {
public:
  std::byte* get() const noexcept { return memory_.get(); }
  std::size_t bytes() const noexcept { return bytes_; }

  /// Frees what it held and takes `bytes` anew. cudaErrorMemoryAllocation if the budget or the
  /// driver has no room; it holds nothing then.
  cudaError_t allocate(std::size_t bytes, vram_budget& budget) noexcept {
    *this = {};
    auto share = budget.reserve(bytes);
    if (!share) return cudaErrorMemoryAllocation;
    void* at = nullptr;
    const auto code = cudaMalloc(&at, bytes ? bytes : 1);
    if (code != cudaSuccess) {
      cudaGetLastError(); // reported here, and not by the next launch as well
      return code;
    }
    share_ = std::move(*share);
    memory_.reset(static_cast<std::byte*>(at));
    bytes_ = bytes;
    return cudaSuccess;
  }

private:
  vram_budget::reservation share_; // given back after the memory is freed
  std::unique_ptr<std::byte, cuda_detail::free_device> memory_;
  std::size_t bytes_ = 0;
};

/// Host memory that the device reads and writes directly.
class pinned_memory {
public:
  std::byte* get() const noexcept { return memory_.get(); }
  std::size_t bytes() const noexcept { return bytes_; }

  cudaError_t allocate(std::size_t bytes) noexcept {
    memory_.reset();
    bytes_ = 0;
    ++allocations_;
    void* at = nullptr;
    const auto code = cudaHostAlloc(&at, bytes, cudaHostAllocMapped | cudaHostAllocPortable);
    if (code != cudaSuccess) {
      cudaGetLastError();
      return code;
    }
    memory_.reset(static_cast<std::byte*>(at));
    bytes_ = bytes;
    return cudaSuccess;
  }

  /// Returns how often this process has taken pinned memory; for tests of what must not take any.
  static std::uint64_t allocations() noexcept { return allocations_; }

private:
  static inline std::atomic<std::uint64_t> allocations_{0};
  std::unique_ptr<std::byte, cuda_detail::free_pinned> memory_;
  std::size_t bytes_ = 0;
};

/// Memory of somebody else that the device copies from directly, until this object ends.
class pinned_regions {
public:
  pinned_regions() = default;
  pinned_regions(const pinned_regions&) = delete;
  pinned_regions& operator=(const pinned_regions&) = delete;
  ~pinned_regions() {
    for (const auto& each : regions_)
      cudaHostUnregister(each.data());
  }

  /// Pins whole pages, which take memory from now on.
  cudaError_t add(std::span<std::byte> region) {
    const auto code = cudaHostRegister(region.data(), region.size(), cudaHostRegisterPortable);
    if (code == cudaSuccess)
      regions_.push_back(region);
    else
      cudaGetLastError();
    return code;
  }
  bool contain(std::span<const std::byte> bytes) const noexcept {
    for (const auto& each : regions_)
      if (bytes.data() >= each.data() && bytes.data() + bytes.size() <= each.data() + each.size())
        return true;
    return false;
  }

private:
  std::vector<std::span<std::byte>> regions_;
};

} // namespace engram
