#pragma once

/// Activation spreading on a GPU, with the bits of kernels/spread.hpp: up to 32 seed sets at once,
/// each with its own options, all hops in one launch.

#include "engram/kernels/spread.hpp"

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace engram::cuda {

/// The most seed sets that one call takes.
inline constexpr std::size_t max_spread_sets = 32;
/// A larger `top` is answered as if all nodes were wanted, by sorting them.
inline constexpr std::uint32_t max_spread_top = 2048;

struct alignas(8) in_edge {
  node_id source;
  float weight;
};

/// A graph_view whose arrays lie in device memory; the weights stand with the incoming edges. No
/// node has 2^31 incoming edges.
struct device_graph {
  std::size_t nodes = 0;
  std::size_t edges = 0;
  const std::uint64_t* in_offsets = nullptr;  ///< [nodes + 1]
  const in_edge* in_edges = nullptr;          ///< [edges], sources ascending within a node
  const std::uint64_t* out_offsets = nullptr; ///< [nodes + 1]
  const node_id* out_targets = nullptr;       ///< [edges]
};

/// A seed of one set. No two of a call have the same set and node.
struct planted_seed {
  std::uint32_t set = 0;
  node_id node = 0;
  float amount = 0.0f; ///< the whole activation that the node starts with

  friend bool operator==(const planted_seed&, const planted_seed&) = default;
};

/// Appends what `seeds` plant in set `set`: one entry for each node, nodes ascending, with the
/// starting activation of the contract. Runs on the host and needs no GPU.
void plant(std::uint32_t set, std::span<const seed> seeds, std::vector<planted_seed>& planted);

/// Which nodes a hop computes. The answer is the same to the bit.
enum class spread_walk : std::uint8_t {
  automatic, ///< sparse while few edges leave the moving nodes, then dense
  dense,     ///< all nodes
  sparse,    ///< the targets of the moving nodes, however many; graphs of 2^32 edges go dense
};

/// All pointers are memory that the device can read or write; outputs may be mapped host memory.
/// What they point at is read when the work runs, so that a captured call serves other seeds and
/// options of the same shape.
struct spread_call {
  std::size_t sets = 0; ///< 1..32
  /// At least every set's `top`; 0 or above 2048 if any set's is.
  std::uint32_t top = 0;
  const planted_seed* seeds = nullptr;       ///< [*seed_count], in any order
  const std::uint32_t* seed_count = nullptr; ///< [1]
  const spread_options* options = nullptr;   ///< [sets], within the ranges that they document
  /// [sets, hit_stride], best first; hit_stride >= min(nodes, largest top), nodes where it is 0.
  hit* hits = nullptr;
  std::size_t hit_stride = 0;
  std::uint32_t* counts = nullptr; ///< [sets], the number of hits
  std::uint32_t* hops = nullptr;   ///< [sets], the number of hops taken
  spread_walk walk = spread_walk::automatic;
};

/// Returns the device memory that a call with these sets and this `top` needs on a graph of this
/// size. A call with fewer nodes, fewer sets or a smaller `top` needs no more, but for a `top` of 0
/// or above max_spread_top, which takes other buffers and is asked about on its own.
/// 0: the current device cannot be asked.
std::size_t spread_workspace_bytes(std::size_t nodes, std::size_t sets, std::uint32_t top);

/// Enqueues one call on `stream`. `workspace` is device memory of the size above, aligned to 256
/// bytes, of any content; no other call may use it until this one is done. Allocates nothing, waits
/// for nothing and can be captured into a CUDA graph. Returns the first error of a launch;
/// cudaErrorInvalidValue for a number of sets that is out of range.
cudaError_t spread(const device_graph& graph, const spread_call& call, void* workspace,
                   cudaStream_t stream);

} // namespace engram::cuda
