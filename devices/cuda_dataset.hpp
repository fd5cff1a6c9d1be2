#pragma once

#include "engram/datasets/dataset.hpp"
#include "engram/devices/cuda_memory.hpp"
#include "engram/devices/cuda_shared_memory.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/host/backend.hpp"
#include "engram/kernels/cuda/device_rows.hpp"
#include "engram/kernels/cuda/spread.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace engram {

/// A dataset in a GPU's memory; one of `rows` and `graph` is in use.
struct cuda_dataset {
  dataset_ptr data;
  /// Number of this upload in the process, never used twice: what kept graphs go by, since a
  /// dataset may come back to other memory.
  std::uint64_t upload = 0;
  cuda::device_rows rows;
  cuda::device_graph graph;
  // One of them holds its arrays: rows, norms and the bfloat16 rows; or the offsets and edges by
  // target, the offsets and targets by source.
  std::vector<device_memory> memory;
  std::vector<shared_device_memory> shared;
};

/// Returns the device memory that `upload` takes, in bytes: rows padded to 16 bytes, a bfloat16
/// copy of float32 rows, norms; or both directions of a graph.
std::uint64_t device_bytes(const dataset& data) noexcept;

/// Returns what `upload` will make of `data`, without any memory: shapes and types.
cuda_dataset outline_of(const dataset_ptr& data);

/// Returns handles to the memory of `dataset`, which is shared.
cudaError_t share(const cuda_dataset& dataset, resident_memory& out);
/// Maps what `share` has handed out, for reading. On an error nothing stays.
std::optional<device_fault> map_shared(int ordinal, const dataset_ptr& data,
                                       const resident_memory& memory, cuda_dataset& out);

/// Copies datasets to a GPU through two pieces of pinned memory, so that filling one overlaps
/// copying the other. Not thread-safe.
class cuda_uploader {
public:
  std::optional<device_fault> open();
  /// Uploads all of `data` into `out`, or returns why not; then nothing of it stays.
  std::optional<device_fault> upload(const dataset_ptr& data, vram_budget& budget,
                                     cuda_dataset& out);
  /// From now on takes memory that can be shared, on GPU `ordinal`.
  void share_memory(int ordinal) noexcept { sharing_ordinal_ = ordinal; }

private:
  struct piece {
    pinned_memory memory;
    cuda_event copied;
  };

  std::byte* add_memory(std::size_t bytes, vram_budget& budget, cuda_dataset& out);
  template <class Fill>
  void copy(std::byte* to, std::size_t unit_bytes, std::size_t units, Fill&& fill);
  void copy_plain(std::byte* to, const void* from, std::size_t bytes);
  void upload_rows(const vector_collection& rows, vram_budget& budget, cuda_dataset& out);
  void upload_graph(const activation_graph& graph, vram_budget& budget, cuda_dataset& out);
  bool note(cudaError_t code) noexcept;

  cuda_stream stream_;
  piece pieces_[2];
  unsigned next_piece_ = 0;
  cudaError_t failure_ = cudaSuccess; ///< the first of this upload
  std::optional<int> sharing_ordinal_;
};

} // namespace engram
