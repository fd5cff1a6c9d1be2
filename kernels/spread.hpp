#pragma once

/// Activation spreading: the contract of every variant, on CPUs and GPUs.
///
///   a[j] = min(1, sum of the seed amounts of j)      delta = a
///   for h = 1 .. max_hops while any delta is non-zero:
///       in[j]  = float32(decay * sum over edges i->j of w(i,j) * delta[i])
///       in[j]  = 0 where |in[j]| < threshold
///       next   = clamp(a + in, 0, 1) ; delta = next - a ; a = next         (float32)
/// The sum is taken in float64 over the incoming edges of j in ascending order of i (products of
/// two float32 are exact there); edges whose delta is 0 add nothing, so that a sparse and a dense
/// walk give the same bits. The seed amounts of one node are added in the order given, in float32.
/// The answer: the `top` most activated nodes (0: all with a > 0) by (activation descending, node
/// ascending), a > 0 only, and the number of hops taken.

#include "engram/base/ids.hpp"
#include "engram/kernels/top_k.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace engram {

/// A directed weighted graph in compressed rows, both ways. The memory belongs to somebody else.
struct graph_view {
  std::size_t nodes = 0;
  std::size_t edges = 0;
  // By target: the edges that come into node j are [in_offsets[j], in_offsets[j + 1]).
  const std::uint64_t* in_offsets = nullptr; ///< [nodes + 1]
  const node_id* in_sources = nullptr;       ///< [edges], ascending within a node
  const float* in_weights = nullptr;         ///< [edges], within [-1, 1]
  // By source: the edges that leave node i are [out_offsets[i], out_offsets[i + 1]).
  const std::uint64_t* out_offsets = nullptr; ///< [nodes + 1]
  const node_id* out_targets = nullptr;       ///< [edges], ascending within a node
  const float* out_weights = nullptr;         ///< [edges]
};

struct seed {
  node_id node = 0;
  float amount = 1.0f; ///< in (0, 1]

  friend bool operator==(const seed&, const seed&) = default;
};

struct spread_options {
  std::uint32_t max_hops = 3; ///< 1..64
  float decay = 0.5f;         ///< (0, 1]
  float threshold = 0.01f;    ///< [0, 1)
  std::uint32_t top = 100;    ///< nodes returned; 0 means all with activation above 0

  friend bool operator==(const spread_options&, const spread_options&) = default;
};

struct spread_result {
  std::vector<hit> hits; ///< node and activation, best first
  std::uint32_t hops = 0;
  std::uint64_t edges_touched = 0; ///< the work that was done
};

/// Memory that `spread` reuses between calls; one for each thread. Grows to about 20 bytes a node.
class spread_scratch {
public:
  spread_scratch();
  ~spread_scratch();
  spread_scratch(spread_scratch&&) noexcept;
  spread_scratch& operator=(spread_scratch&&) noexcept;

  struct impl;
  impl& get() noexcept { return *impl_; }

private:
  std::unique_ptr<impl> impl_;
};

/// Spreads one seed set. Every seed's node is below graph.nodes. Takes the walk (sparse or dense)
/// that touches less; both give the same bits.
spread_result spread(const graph_view& graph, std::span<const seed> seeds,
                     const spread_options& options, spread_scratch& scratch);

/// The contract in executable form: dense, by target, shares no code with `spread`.
spread_result spread_reference(const graph_view& graph, std::span<const seed> seeds,
                               const spread_options& options);

} // namespace engram
