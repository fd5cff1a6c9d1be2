#pragma once

/// A batch as pieces that a lane of a GPU works on one after the other.

#include "engram/devices/cuda_dataset.hpp"
#include "engram/devices/cuda_memory.hpp"
#include "engram/devices/work.hpp"

#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace engram {

/// The memory of a lane: inputs are written to `in`, copied to `device_in` and read there by
/// kernels, which write their results straight into `out`, pinned memory mapped into the device.
struct lane_memory {
  std::byte* in = nullptr;
  const std::byte* device_in = nullptr;
  std::byte* out = nullptr;
  std::byte* workspace = nullptr;
  std::size_t in_bytes = 0;
  std::size_t out_bytes = 0;
  std::size_t workspace_bytes = 0;

  friend bool operator==(const lane_memory&, const lane_memory&) = default;
};

/// What the kernels of a piece depend on, besides the memory's content. Pieces with equal shapes
/// may share one captured graph.
using piece_shape = std::array<std::uint64_t, 5>;

/// The inputs of a piece, which lie in `lane_memory::in` but for the first ones if they are in
/// pinned memory already: those are copied from where they are.
struct piece_inputs {
  std::size_t bytes = 0; ///< of all
  std::span<const std::byte> placed{};

  /// Returns the offset of what lies in `lane_memory::in`.
  std::size_t first_in_lane() const noexcept { return (placed.size() + 255) / 256 * 256; }
};

/// A batch's items, flattened to units (queries, targets, ids or seed sets) that pieces are cut
/// from. A piece is filled, enqueued and, once its kernels have run, collected.
class cuda_work {
public:
  virtual ~cuda_work() = default;

  /// Returns the number of units; collecting may add some that have to be done another way.
  virtual std::size_t units() const noexcept = 0;
  /// Returns how many units from `first` on fit into `memory` at once, at least 1; 0 if not one
  /// does. first < units().
  virtual std::size_t fitting(std::size_t first, const lane_memory& memory) const noexcept = 0;
  /// Writes the inputs of units [first, first + count).
  virtual piece_inputs fill(std::size_t first, std::size_t count, const lane_memory& memory) = 0;
  virtual piece_shape shape() const noexcept = 0; ///< of the piece filled last
  /// Enqueues the kernels of the piece filled last.
  virtual cudaError_t enqueue(const lane_memory& memory, cudaStream_t stream) const noexcept = 0;
  /// Reads the results of the piece filled last.
  virtual void collect(const lane_memory& memory) = 0;
  /// Returns the outputs of all items, once every unit is collected.
  virtual std::vector<item_output> outputs() = 0;
};

/// `resident` is the batch's dataset, null for similarity. `has_filter`: searches may filter.
/// Inputs in `pinned` are not copied on the host.
std::unique_ptr<cuda_work> make_cuda_work(const work_batch& batch,
                                          std::shared_ptr<const cuda_dataset> resident,
                                          bool has_filter, const pinned_regions& pinned);

/// What a lane needs so that any batch on `resident` fits in pieces, and how much more is of use.
struct lane_needs {
  std::size_t in_bytes = 0;
  std::size_t out_bytes = 0;
  std::size_t least_workspace = 0;
  std::size_t best_workspace = 0;
};
lane_needs needs_of(const cuda_dataset& resident, bool has_filter);

} // namespace engram
