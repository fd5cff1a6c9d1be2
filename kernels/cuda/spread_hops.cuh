#pragma once

// All hops of a spread call in one cooperative kernel.
//
// Per-node state is [nodes, Sets] with Sets a power of two, so that the Sets values of a node are
// one contiguous piece. What a hop computes is always the complete sum of a node, over all its
// incoming edges in ascending order (a pull); a hop differs only in which nodes it computes:
//
//   dense   every node. One grid barrier a hop.
//   sparse  the targets of the moving nodes' out-edges. Other nodes would receive 0. Two barriers:
//           targets are marked and listed first, then pulled. `delta` buffers are zero outside the
//           nodes that moved; the nodes of the hop before last are zeroed while targets are listed.
//
// Atomics are on integers only (list positions, marks, sets that moved), and no result depends on
// their order.

#include "engram/kernels/cuda/select.hpp"
#include "engram/kernels/cuda/spread.hpp"

#include <cooperative_groups.h>

namespace engram::cuda::spreading {

inline constexpr unsigned lanes = 32;
inline constexpr unsigned all_lanes = 0xffffffffu;
inline constexpr unsigned block_threads = 512;
inline constexpr unsigned block_warps = block_threads / lanes;
/// Gathers that a lane has under way at once.
inline constexpr unsigned gathers = 8;
/// A node with more incoming edges is no part of a tile: warps of its own compute it, a few sets
/// each.
inline constexpr unsigned hub_degree = 512;
/// Nodes whose greatest activation is looked at before the nodes themselves.
inline constexpr unsigned answer_group = 64;
inline constexpr unsigned most_hops = 64;

/// What the grid counts, by hop. Number 0 is the state before the seeds.
struct grid_counters {
  /// The number of moving nodes below the number of edges that leave them: one atomic gives a place
  /// in the list and the first of the node's out-edges in the order of the list.
  unsigned long long frontier[most_hops + 2];
  std::uint32_t moving[most_hops + 2]; ///< the sets that take part in the hop, one bit each
  std::uint32_t targets[most_hops + 2];
  std::uint32_t hub_targets[most_hops + 2];
  std::uint32_t hubs;
  std::uint32_t unused;
};

/// The kernel's argument: the call, and where its state lies in the workspace.
struct hops_run {
  device_graph graph;
  spread_call call;
  std::size_t cleared_bytes;  ///< from `activation` on; a multiple of 16
  std::uint32_t sparse_limit; ///< a hop with more out-edges to follow is dense; 0: all are
  float* activation;          ///< [nodes, Sets]
  float* delta[2];            ///< [nodes, Sets]; hop h reads (h + 1) % 2 and writes h % 2
  std::uint32_t* mark;        ///< [nodes]; 2h: a target of hop h, 2h + 1: moved by hop h
  node_id* frontier[2];       ///< [nodes]; the moving nodes that hop h starts from are in h % 2
  std::uint32_t* first_edges; ///< [nodes]; per frontier node
  node_id* targets;           ///< [nodes]; from the front, and those that are hubs from the back
  node_id* hubs;              ///< [nodes]
  grid_counters* counters;
  std::uint64_t* maxima; ///< [sets, groups], or nullptr
  std::uint32_t* tops;   ///< [sets]
};

struct block_memory {
  // Products of one warp's chunk of edges, padded against bank conflicts: see slot().
  double products[block_warps][lanes * gathers + lanes * gathers / 16];
  double decay[lanes];
  float threshold[lanes];
  std::uint32_t max_hops[lanes];
  std::uint32_t seed_count;
  std::uint32_t moved;
};

/// One warp's part of the walk. Every method is called by whole warps, with the same arguments on
/// all lanes unless it says otherwise.
template <unsigned Sets>
class walker {
public:
  __device__ walker(const hops_run& run, block_memory& memory)
      : run_(run), graph_(run.graph), memory_(memory), lane_(threadIdx.x % lanes) {}

  /// The whole kernel.
  __device__ void walk() {
    const auto grid = cooperative_groups::this_grid();
    read_options();
    clear();
    grid.sync();
    list_hubs();
    plant();
    publish_moved(1);
    grid.sync();
    bool sparse = run_.sparse_limit != 0;
    std::uint32_t taken = 0; // hops of the set with this lane's number
    for (begin_hop(1); active_ != 0; begin_hop(hop_ + 1)) {
      taken += active_ >> lane_ & 1u;
      sparse = sparse && frontier_edges() <= run_.sparse_limit;
      if (sparse) {
        call_list_targets(*this);
        grid.sync();
        moved_ |= call_pull_targets(*this);
      } else {
        pull_all();
      }
      publish_moved(hop_ + 1);
      grid.sync();
    }
    if (rank() == 0) report(taken);
    if (run_.maxima != nullptr) find_maxima();
  }

private:
  static constexpr unsigned groups = lanes / Sets; // nodes side by side in a warp
  static constexpr unsigned hub_sets = Sets < 4 ? Sets : 4;
  static constexpr unsigned hub_parts = Sets / hub_sets;

  /// The warp's number in the grid; neighbours are in different blocks.
  __device__ static unsigned rank() { return threadIdx.x / lanes * gridDim.x + blockIdx.x; }
  __device__ static unsigned warps() { return gridDim.x * block_warps; }
  /// For loops over items that the threads of the grid share.
  __device__ static std::uint64_t first_item() { return std::uint64_t{rank()} * lanes; }
  __device__ static std::uint64_t items() { return std::uint64_t{warps()} * lanes; }

  // -- before and after the hops --

  __device__ void read_options() {
    const spread_call& call = run_.call;
    if (threadIdx.x < lanes) {
      const bool used = threadIdx.x < call.sets;
      const spread_options options = used ? call.options[threadIdx.x] : spread_options{0, 1, 0, 0};
      memory_.decay[threadIdx.x] = options.decay;
      memory_.threshold[threadIdx.x] = options.threshold;
      memory_.max_hops[threadIdx.x] = min(options.max_hops, most_hops);
    }
    if (threadIdx.x == 0) {
      memory_.seed_count = *call.seed_count;
      memory_.moved = 0;
    }
    __syncthreads();
  }

  __device__ void clear() {
    const std::uint64_t thread = first_item() + lane_;
    auto* words = reinterpret_cast<uint4*>(run_.activation);
    for (std::uint64_t i = thread; i < run_.cleared_bytes / sizeof(uint4); i += items())
      words[i] = make_uint4(0, 0, 0, 0);
    auto* counters = reinterpret_cast<std::uint32_t*>(run_.counters);
    for (std::uint64_t i = thread; i < sizeof(grid_counters) / 4; i += items())
      counters[i] = 0;
  }

  __device__ void list_hubs() {
    for (std::uint64_t first = first_item(); first < graph_.nodes; first += items()) {
      const std::uint64_t node = first + lane_;
      const bool is_hub =
          node < graph_.nodes && graph_.in_offsets[node + 1] - graph_.in_offsets[node] > hub_degree;
      const std::uint32_t place = append(is_hub, run_.counters->hubs);
      if (is_hub) run_.hubs[place] = static_cast<node_id>(node);
    }
  }

  __device__ void plant() {
    const std::uint64_t count = memory_.seed_count;
    for (std::uint64_t first = first_item(); first < count; first += items()) {
      const bool have = first + lane_ < count;
      const planted_seed s = have ? run_.call.seeds[first + lane_] : planted_seed{};
      const bool moves = have && memory_.max_hops[s.set] > 0;
      const std::size_t at = std::size_t{s.node} * Sets + s.set;
      if (have) run_.activation[at] = s.amount;
      if (moves) {
        run_.delta[0][at] = s.amount;
        moved_ |= 1u << s.set;
      }
      if (run_.sparse_limit != 0)
        append_frontier(1, moves && atomicMax(&run_.mark[s.node], 1u) == 0, s.node);
    }
  }

  __device__ void report(std::uint32_t taken) {
    if (lane_ >= run_.call.sets) return;
    run_.call.hops[lane_] = taken;
    if (run_.tops != nullptr) run_.tops[lane_] = run_.call.options[lane_].top;
    if (graph_.nodes == 0) run_.call.counts[lane_] = 0;
  }

  __device__ void find_maxima() {
    const std::size_t count = (graph_.nodes + answer_group - 1) / answer_group;
    for (std::uint64_t group = rank(); group < count; group += warps()) {
      std::uint64_t best = 0;
#pragma unroll 8
      for (unsigned i = lane_ / Sets; i < answer_group; i += groups) {
        const std::uint64_t node = group * answer_group + i;
        const float a = node < graph_.nodes ? run_.activation[node * Sets + lane_ % Sets] : 0.0f;
        if (a > 0.0f) best = max(best, key_of(a, static_cast<node_id>(node)));
      }
#pragma unroll
      for (unsigned width = Sets; width < lanes; width *= 2)
        best = max(best, __shfl_xor_sync(all_lanes, best, width));
      if (lane_ < Sets && lane_ < run_.call.sets) run_.maxima[lane_ * count + group] = best;
    }
  }

  // -- between hops --

  __device__ void begin_hop(unsigned hop) {
    hop_ = hop;
    active_ = __ldcg(&run_.counters->moving[hop]);
    // A set that has no hop left stops moving, so that nobody follows its edges.
    goes_on_ = active_ & __ballot_sync(all_lanes, hop < memory_.max_hops[lane_]);
    before_ = run_.delta[(hop + 1) % 2];
    after_ = run_.delta[hop % 2];
  }

  /// Tells the grid which sets this block saw moving. Called by the whole block before a grid
  /// barrier.
  __device__ void publish_moved(unsigned hop) {
    std::uint32_t sets = moved_;
#pragma unroll
    for (unsigned width = 1; width < lanes; width *= 2)
      sets |= __shfl_xor_sync(all_lanes, sets, width);
    if (lane_ == 0 && sets != 0) atomicOr(&memory_.moved, sets);
    __syncthreads();
    if (threadIdx.x == 0) {
      if (memory_.moved != 0) atomicOr(&run_.counters->moving[hop], memory_.moved);
      memory_.moved = 0;
    }
    moved_ = 0;
  }

  __device__ std::uint64_t frontier_edges() const {
    return __ldcg(&run_.counters->frontier[hop_]) >> 32;
  }

  // -- lists --

  __device__ unsigned lanes_below() const {
    return (1u << lane_) - 1u;
  }

  /// Returns the list position of this lane, on lanes where `mine`.
  __device__ std::uint32_t append(bool mine, std::uint32_t& length) const {
    const unsigned mask = __ballot_sync(all_lanes, mine);
    if (mask == 0) return 0;
    std::uint32_t first = 0;
    if (lane_ == 0) first = atomicAdd(&length, static_cast<std::uint32_t>(__popc(mask)));
    return __shfl_sync(all_lanes, first, 0) + __popc(mask & lanes_below());
  }

  /// Appends each lane's node, where `mine`, to the nodes that `hop` starts from.
  __device__ void append_frontier(unsigned hop, bool mine, node_id node) {
    const unsigned mask = __ballot_sync(all_lanes, mine);
    if (mask == 0) return;
    const auto degree = static_cast<std::uint32_t>(
        mine ? graph_.out_offsets[node + std::uint64_t{1}] - graph_.out_offsets[node] : 0);
    std::uint32_t sum = degree;
#pragma unroll
    for (unsigned width = 1; width < lanes; width *= 2) {
      const std::uint32_t left = __shfl_up_sync(all_lanes, sum, width);
      if (lane_ >= width) sum += left;
    }
    unsigned long long place = 0;
    if (lane_ == lanes - 1)
      place = atomicAdd(&run_.counters->frontier[hop],
                        static_cast<unsigned long long>(sum) << 32 | __popc(mask));
    place = __shfl_sync(all_lanes, place, lanes - 1);
    if (!mine) return;
    const std::uint32_t at = static_cast<std::uint32_t>(place) + __popc(mask & lanes_below());
    run_.frontier[hop % 2][at] = node;
    run_.first_edges[at] = static_cast<std::uint32_t>(place >> 32) + sum - degree;
  }

  /// The same for one node, gathered until there are as many as lanes.
  __device__ void push_frontier(node_id node) {
    if (lane_ == pending_) pending_node_ = node;
    if (++pending_ == lanes) flush_frontier();
  }

  __device__ void flush_frontier() {
    append_frontier(hop_ + 1, lane_ < pending_, pending_node_);
    pending_ = 0;
  }

  /// Zeroes the deltas that the hop before last left, and lists the targets of this hop, each once.
  __device__ void list_targets() {
    const auto old = static_cast<std::uint32_t>(__ldcg(&run_.counters->frontier[hop_ - 1]));
    const node_id* old_nodes = run_.frontier[(hop_ + 1) % 2];
    for (std::uint64_t i = first_item() + lane_; i < std::uint64_t{old} * Sets; i += items())
      after_[std::size_t{old_nodes[i / Sets]} * Sets + i % Sets] = 0.0f;

    const unsigned long long packed = __ldcg(&run_.counters->frontier[hop_]);
    const auto nodes = static_cast<std::uint32_t>(packed);
    const std::uint64_t edges = packed >> 32;
    for (std::uint64_t first = first_item(); first < edges; first += items()) {
      const bool have = first + lane_ < edges;
      const node_id target = have ? target_of(first + lane_, nodes) : 0;
      const bool fresh = have && reach(target, 2 * hop_);
      const bool is_hub =
          fresh &&
          graph_.in_offsets[target + std::uint64_t{1}] - graph_.in_offsets[target] > hub_degree;
      const std::uint32_t place = append(fresh && !is_hub, run_.counters->targets[hop_]);
      if (fresh && !is_hub) run_.targets[place] = target;
      const std::uint32_t back = append(is_hub, run_.counters->hub_targets[hop_]);
      if (is_hub) run_.targets[graph_.nodes - 1 - back] = target;
    }
  }

  /// Returns the target of out-edge number `edge` of the frontier's. Differs by lane.
  __device__ node_id target_of(std::uint64_t edge, std::uint32_t frontier_nodes) const {
    std::uint32_t low = 0, high = frontier_nodes; // first_edges[low] <= edge < first_edges[high]
    while (high - low > 1) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (run_.first_edges[middle] <= edge)
        low = middle;
      else
        high = middle;
    }
    const node_id node = run_.frontier[hop_ % 2][low];
    return graph_.out_targets[graph_.out_offsets[node] + (edge - run_.first_edges[low])];
  }

  /// Raises the node's mark and returns whether this call was the one that did. Differs by lane.
  __device__ bool reach(node_id node, std::uint32_t mark) const {
    return __ldcg(&run_.mark[node]) < mark && atomicMax(&run_.mark[node], mark) < mark;
  }

  // -- calls --
  //
  // The dense walk is part of the kernel and the rest of a hop is called, so that the dense walk
  // has the registers to itself. Calls get a walker by value: `this` must not leave the kernel, or
  // the walker would lie in memory and the compiler would not know its pointers to be global or
  // shared.

  __device__ __noinline__ static void call_list_targets(walker walk) {
    walk.list_targets();
  }

  /// Returns the sets that moved.
  __device__ __noinline__ static std::uint32_t call_pull_targets(walker walk) {
    walk.pull_targets();
    return walk.moved_;
  }

  /// Computes all hubs, `count` of them. Returns the sets that moved.
  __device__ __noinline__ static std::uint32_t call_pull_all_hubs(walker walk,
                                                                  std::uint32_t count) {
    walk.pull_hubs(
        count, [&walk](std::uint32_t i) { return walk.run_.hubs[i]; }, [](node_id) {});
    return walk.moved_;
  }

  // -- a hop --

  /// One part of this warp's work: numbers first, first + stride, ...
  struct work_share {
    std::uint32_t first;
    std::uint32_t stride;
  };

  /// Computes this warp's hubs of `count`. `hub(i)` gives the node, `moved(node)` is called if any
  /// of its sets moved, at least once.
  template <class Hub, class Moved>
  __device__ void pull_hubs(std::uint32_t count, Hub&& hub, Moved&& moved) {
    const std::uint64_t jobs = std::uint64_t{count} * hub_parts;
    for (std::uint64_t job = rank(); job < jobs; job += warps()) {
      const node_id node = hub(static_cast<std::uint32_t>(job / hub_parts));
      const auto first_set = static_cast<unsigned>(job % hub_parts) * hub_sets;
      if (pull_one<hub_sets>(node, graph_.in_offsets[node],
                             graph_.in_offsets[node + std::uint64_t{1}], first_set))
        moved(node);
    }
  }

  /// Returns this warp's share of what comes after `count` hubs.
  __device__ work_share share_beside_hubs(std::uint32_t count) const {
    const std::uint64_t jobs = std::uint64_t{count} * hub_parts;
    // A long row keeps its warp for the whole hop; if there are few, they get nothing else.
    if (jobs > warps() / 8) return {rank(), warps()};
    const auto taken = static_cast<std::uint32_t>(jobs);
    if (rank() < taken) return {UINT32_MAX, 0};
    return {rank() - taken, warps() - taken};
  }

  __device__ void pull_all() {
    const std::uint32_t hubs = __ldcg(&run_.counters->hubs);
    if (hubs != 0) moved_ |= call_pull_all_hubs(*this, hubs);
    const work_share share = share_beside_hubs(hubs);
    // Several rounds of nodes share one load of offsets, if the grid has enough to do.
    const auto rounds = static_cast<std::uint32_t>(
        min(max(graph_.nodes / (groups * warps()), std::uint64_t{1}), std::uint64_t{Sets}));
    const std::uint32_t tile = rounds * groups;
    const auto tiles = static_cast<std::uint32_t>((graph_.nodes + tile - 1) / tile);
    for (std::uint32_t t = share.first; t < tiles; t += share.stride)
      pull_tile(std::uint64_t{t} * tile, rounds);
  }

  __device__ void pull_tile(std::uint64_t first, unsigned rounds) {
    const std::uint64_t begins = graph_.in_offsets[min(first + lane_, graph_.nodes)];
    const std::uint64_t ends = graph_.in_offsets[min(first + lane_ + 1, graph_.nodes)];
    if constexpr (groups == lanes) {
      pull_round(first + lane_, begins, ends);
    } else {
      for (unsigned r = 0; r < rounds; ++r) {
        const unsigned place = r * groups + lane_ / Sets;
        pull_round(first + place, __shfl_sync(all_lanes, begins, place),
                   __shfl_sync(all_lanes, ends, place));
      }
    }
  }

  /// Computes the nodes that the warp's groups of lanes name, whose edges adjoin. Nodes past the
  /// last one have none; hubs are left out.
  __device__ void pull_round(std::uint64_t node, std::uint64_t begin, std::uint64_t end) {
    const unsigned set = lane_ % Sets;
    const bool is_hub = end - begin > hub_degree;
    const bool is_mine = node < graph_.nodes && !is_hub;
    const std::size_t at = node * Sets + set;
    const float a = is_mine ? run_.activation[at] : 0.0f;
    const bool apart = __any_sync(all_lanes, is_hub);
    double sum = 0.0;
    for (unsigned w = 0; w < (apart ? groups : 1); ++w) {
      const std::uint64_t from = __shfl_sync(all_lanes, begin, apart ? w * Sets : 0);
      const std::uint64_t to = __shfl_sync(all_lanes, end, apart ? w * Sets : lanes - 1);
      if (apart && to - from > hub_degree) continue;
      const bool adds = !apart || lane_ / Sets == w;
      const double part = weighted_sum<Sets>(from, static_cast<std::int32_t>(to - from),
                                             adds ? static_cast<std::int32_t>(begin - from) : 0,
                                             adds ? static_cast<std::int32_t>(end - from) : 0, set);
      sum = __dadd_rn(sum, part); // all parts but one are +0
    }
    if (is_mine) receive(at, set, a, sum);
  }

  __device__ void pull_targets() {
    const auto count = __ldcg(&run_.counters->targets[hop_]);
    const auto hubs = __ldcg(&run_.counters->hub_targets[hop_]);
    pull_hubs(
        hubs, [this](std::uint32_t i) { return run_.targets[graph_.nodes - 1 - i]; },
        [this](node_id node) {
          // Several warps share a hub: the first that moves it lists it.
          bool first = false;
          if (lane_ == 0) first = reach(node, 2 * hop_ + 1);
          if (__shfl_sync(all_lanes, first, 0)) push_frontier(node);
        });
    const work_share share = share_beside_hubs(hubs);
    const std::uint32_t tile = min(max(count / warps(), 1u), lanes);
    const std::uint32_t tiles = (count - 1) / tile + 1;
    if (count != 0)
      for (std::uint32_t t = share.first; t < tiles; t += share.stride)
        pull_listed(std::uint64_t{t} * tile, min(tile, count - t * tile));
    flush_frontier();
  }

  /// Computes targets[first, first + count), count up to the number of lanes.
  __device__ void pull_listed(std::uint64_t first, unsigned count) {
    const node_id mine = lane_ < count ? run_.targets[first + lane_] : 0;
    const std::uint64_t begins = graph_.in_offsets[mine];
    const std::uint64_t ends = graph_.in_offsets[mine + std::uint64_t{1}];
    for (unsigned i = 0; i < count; ++i) {
      const node_id node = __shfl_sync(all_lanes, mine, i);
      const std::uint64_t begin = __shfl_sync(all_lanes, begins, i);
      const std::uint64_t end = __shfl_sync(all_lanes, ends, i);
      if (pull_one<Sets>(node, begin, end, 0)) push_frontier(node);
    }
  }

  /// Computes sets [first_set, first_set + Width) of one node. Returns whether any of them moved.
  template <unsigned Width>
  __device__ bool pull_one(node_id node, std::uint64_t begin, std::uint64_t end,
                           unsigned first_set) {
    const unsigned set = first_set + lane_ % Width;
    const std::size_t at = std::size_t{node} * Sets + set;
    const bool is_mine = lane_ < Width;
    const float a = is_mine ? run_.activation[at] : 0.0f;
    const auto count = static_cast<std::int32_t>(end - begin);
    const double sum = weighted_sum<Width>(begin, count, 0, is_mine ? count : 0, set);
    const bool moved = is_mine && receive(at, set, a, sum);
    return __any_sync(all_lanes, moved);
  }

  /// Applies what a node receives in one set; `at` is its place in the state, `a` its activation.
  /// Returns whether it moves on. Differs by lane.
  __device__ bool receive(std::size_t at, unsigned set, float a, double sum) {
    float in = __double2float_rn(__dmul_rn(memory_.decay[set], sum));
    if (fabsf(in) < memory_.threshold[set] || (active_ >> set & 1u) == 0) in = 0.0f;
    float next = __fadd_rn(a, in);
    next = next < 0.0f ? 0.0f : next > 1.0f ? 1.0f : next;
    const float delta = goes_on_ >> set & 1u ? __fsub_rn(next, a) : 0.0f;
    if (next != a) run_.activation[at] = next;
    after_[at] = delta;
    const bool moves = delta != 0.0f;
    if (moves) moved_ |= 1u << set;
    return moves;
  }

  // -- a sum --

  /// Place of product `i` of a chunk. One unused place in 17 puts rows of 16 edges into different
  /// banks.
  __device__ static unsigned slot(unsigned i) {
    return i + i / 16;
  }

  /// Loads an edge. Edges pass once a hop; where a warp reads whole lines of them they should not
  /// displace deltas.
  template <unsigned Step>
  __device__ static in_edge load(const in_edge* edge) {
    const auto* from = reinterpret_cast<const uint2*>(edge);
    const uint2 bits = Step >= 8 ? __ldcs(from) : __ldg(from);
    return {bits.x, __uint_as_float(bits.y)};
  }

  /// Returns the sum of w * delta in `set` over this lane's edges [from, to) of those that the warp
  /// walks, in order. The warp walks `count` edges from number `first` on. Lanes in groups of Width
  /// read one edge each; lanes of equal number in their groups have equal sets.
  template <unsigned Width>
  __device__ double weighted_sum(std::uint64_t first, std::int32_t count, std::int32_t from,
                                 std::int32_t to, unsigned set) {
    constexpr unsigned step = lanes / Width;
    constexpr std::int32_t chunk = step * gathers;
    // What differs by lane is added outside of the loop: places within a chunk are constants then.
    const unsigned offset = lane_ / Width;
    const float* deltas = before_ + set;
    double* products = memory_.products[threadIdx.x / lanes];
    double* mine = products + slot(lane_);
    const in_edge* edge = graph_.in_edges + first + offset;
    const bool is_active = active_ >> set & 1u;
    const unsigned everyone = __ballot_sync(all_lanes, true);
    double sum = 0.0;
    for (std::int32_t left = count - static_cast<std::int32_t>(offset); count > 0;
         count -= chunk, left -= chunk, from -= chunk, to -= chunk, edge += chunk) {
      in_edge edges[gathers];
      float delta[gathers];
#pragma unroll
      for (unsigned u = 0; u < gathers; ++u)
        edges[u] = static_cast<std::int32_t>(u * step) < left ? load<step>(edge + u * step)
                                                              : in_edge{0, 0.0f};
      // ptxas would save registers by gathering before the next edge is loaded, so that every load
      // waits for memory in turn. It moves nothing past a mask that it does not know.
      __syncwarp(everyone);
#pragma unroll
      for (unsigned u = 0; u < gathers; ++u) {
        const bool have = is_active && static_cast<std::int32_t>(u * step) < left;
        delta[u] = have ? deltas[std::size_t{edges[u].source} * Sets] : 0.0f;
      }
      if constexpr (Width == lanes) {
        // A lane's products are its own node's, in order; past the end they are 0.
#pragma unroll
        for (unsigned u = 0; u < gathers; ++u)
          sum = __dadd_rn(sum, product(edges[u].weight, delta[u]));
      } else {
#pragma unroll
        for (unsigned u = 0; u < gathers; ++u)
          mine[slot(u * lanes)] = product(edges[u].weight, delta[u]);
        __syncwarp();
        const std::int32_t last = min(to, chunk);
#pragma unroll 4
        for (std::int32_t i = max(from, 0); i < last; ++i)
          sum = __dadd_rn(sum, products[slot(static_cast<unsigned>(i) * Width + lane_ % Width)]);
        __syncwarp();
      }
    }
    return sum;
  }

  __device__ static double product(float weight, float delta) {
    return __dmul_rn(static_cast<double>(weight), static_cast<double>(delta)); // exact
  }

  const hops_run& run_;
  const device_graph& graph_;
  block_memory& memory_;
  const unsigned lane_;
  unsigned hop_ = 0;
  std::uint32_t active_ = 0;  // the sets that take part in this hop
  std::uint32_t goes_on_ = 0; // those of them that may take part in the next one
  std::uint32_t moved_ = 0;   // the sets in which this lane saw a node move
  const float* before_ = nullptr;
  float* after_ = nullptr;
  unsigned pending_ = 0; // nodes that wait for the frontier, one a lane
  node_id pending_node_ = 0;
};

template <unsigned Sets>
__global__ void __launch_bounds__(block_threads, 2)
    hops_kernel(const __grid_constant__ hops_run run) {
  __shared__ block_memory memory;
  walker<Sets>(run, memory).walk();
}

} // namespace engram::cuda::spreading
