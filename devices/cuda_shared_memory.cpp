#include "engram/devices/cuda_shared_memory.hpp"

#include <cuda.h>

#include <utility>

namespace engram {

namespace {

/// The driver's functions for memory that is allocated, mapped and shared in separate steps. The
/// runtime has none of its own, and finding them through it spares linking the driver.
struct driver {
  template <class Function>
  static Function* find(const char* name) noexcept {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult how{};
    if (cudaGetDriverEntryPointByVersion(name, &found, 12000, cudaEnableDefault, &how) !=
        cudaSuccess)
      return nullptr;
    return reinterpret_cast<Function*>(found);
  }

  decltype(cuMemCreate)* create = find<decltype(cuMemCreate)>("cuMemCreate");
  decltype(cuMemRelease)* release = find<decltype(cuMemRelease)>("cuMemRelease");
  decltype(cuMemAddressReserve)* reserve =
      find<decltype(cuMemAddressReserve)>("cuMemAddressReserve");
  decltype(cuMemAddressFree)* free = find<decltype(cuMemAddressFree)>("cuMemAddressFree");
  decltype(cuMemMap)* map = find<decltype(cuMemMap)>("cuMemMap");
  decltype(cuMemUnmap)* unmap = find<decltype(cuMemUnmap)>("cuMemUnmap");
  decltype(cuMemSetAccess)* set_access = find<decltype(cuMemSetAccess)>("cuMemSetAccess");
  decltype(cuMemExportToShareableHandle)* to_handle =
      find<decltype(cuMemExportToShareableHandle)>("cuMemExportToShareableHandle");
  decltype(cuMemImportFromShareableHandle)* from_handle =
      find<decltype(cuMemImportFromShareableHandle)>("cuMemImportFromShareableHandle");

  bool complete() const noexcept {
    return create && release && reserve && free && map && unmap && set_access && to_handle &&
           from_handle;
  }
};

const driver& the_driver() noexcept {
  static const driver found;
  return found;
}

// The runtime numbers its errors as the driver does where both have them.
cudaError_t as_runtime_error(CUresult code) noexcept {
  return static_cast<cudaError_t>(code);
}

constexpr auto handle_type = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;

} // namespace

shared_device_memory::shared_device_memory(shared_device_memory&& other) noexcept {
  *this = std::move(other);
}

shared_device_memory& shared_device_memory::operator=(shared_device_memory&& other) noexcept {
  std::swap(share_, other.share_);
  std::swap(allocation_, other.allocation_);
  std::swap(at_, other.at_);
  std::swap(bytes_, other.bytes_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

shared_device_memory::~shared_device_memory() {
  const auto& call = the_driver();
  if (at_ != 0) {
    call.unmap(at_, mapped_);
    call.free(at_, mapped_);
  }
  if (allocation_ != 0) call.release(allocation_);
}

cudaError_t shared_device_memory::allocate(int ordinal, std::size_t bytes,
                                           vram_budget& budget) noexcept {
  *this = {};
  const auto& call = the_driver();
  if (!call.complete()) return cudaErrorNotSupported;
  auto share = budget.reserve(bytes ? bytes : 1);
  if (!share) return cudaErrorMemoryAllocation;
  CUmemAllocationProp wanted{};
  wanted.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  wanted.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  wanted.location.id = ordinal;
  wanted.requestedHandleTypes = handle_type;
  const auto whole = vram_budget::rounded(bytes ? bytes : 1);
  if (const auto code = call.create(&allocation_, whole, &wanted, 0); code != CUDA_SUCCESS)
    return as_runtime_error(code);
  share_ = std::move(*share);
  bytes_ = bytes;
  mapped_ = whole;
  return place(ordinal, true);
}

cudaError_t shared_device_memory::map(int ordinal, const unique_fd& handle,
                                      std::size_t bytes) noexcept {
  *this = {};
  const auto& call = the_driver();
  if (!call.complete()) return cudaErrorNotSupported;
  auto* name = reinterpret_cast<void*>(static_cast<std::uintptr_t>(handle.get()));
  if (const auto code = call.from_handle(&allocation_, name, handle_type); code != CUDA_SUCCESS)
    return as_runtime_error(code);
  bytes_ = bytes;
  mapped_ = vram_budget::rounded(bytes ? bytes : 1);
  return place(ordinal, false);
}

cudaError_t shared_device_memory::place(int ordinal, bool writable) noexcept {
  const auto& call = the_driver();
  CUdeviceptr at = 0;
  if (const auto code = call.reserve(&at, mapped_, 0, 0, 0); code != CUDA_SUCCESS)
    return as_runtime_error(code);
  if (const auto code = call.map(at, mapped_, 0, allocation_, 0); code != CUDA_SUCCESS) {
    call.free(at, mapped_);
    return as_runtime_error(code);
  }
  at_ = at;
  CUmemAccessDesc access{};
  access.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  access.location.id = ordinal;
  access.flags = writable ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_READ;
  return as_runtime_error(call.set_access(at, mapped_, &access, 1));
}

cudaError_t shared_device_memory::share(unique_fd& out) const noexcept {
  int handle = -1;
  const auto code = the_driver().to_handle(&handle, allocation_, handle_type, 0);
  if (code == CUDA_SUCCESS) out = unique_fd{handle};
  return as_runtime_error(code);
}

} // namespace engram
