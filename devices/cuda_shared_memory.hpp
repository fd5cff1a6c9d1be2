#pragma once

#include "engram/devices/host/handles.hpp"
#include "engram/devices/vram_budget.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace engram {

/// Device memory that several processes can map. It stays as long as one of them maps it or holds a
/// handle to it, whatever becomes of the process that allocated it.
class shared_device_memory {
public:
  shared_device_memory() = default;
  shared_device_memory(shared_device_memory&& other) noexcept;
  shared_device_memory& operator=(shared_device_memory&& other) noexcept;
  ~shared_device_memory();

  /// Allocates `bytes` on GPU `ordinal`, the current one, for reading and writing.
  /// cudaErrorMemoryAllocation if the budget or the driver has no room.
  cudaError_t allocate(int ordinal, std::size_t bytes, vram_budget& budget) noexcept;
  /// Maps what `handle` names for reading only: a stray write faults instead of spoiling it.
  cudaError_t map(int ordinal, const unique_fd& handle, std::size_t bytes) noexcept;
  /// Returns a handle that other processes can map.
  cudaError_t share(unique_fd& out) const noexcept;

  std::byte* get() const noexcept { return reinterpret_cast<std::byte*>(at_); }
  std::size_t bytes() const noexcept { return bytes_; }

private:
  cudaError_t place(int ordinal, bool writable) noexcept;

  vram_budget::reservation share_;
  unsigned long long allocation_ = 0; ///< the driver's handle
  unsigned long long at_ = 0;
  std::size_t bytes_ = 0;  ///< asked for
  std::size_t mapped_ = 0; ///< in whole pieces
};

} // namespace engram
