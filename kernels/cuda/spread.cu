#include "engram/kernels/cuda/carver.hpp"
#include "engram/kernels/cuda/select.hpp"
#include "engram/kernels/cuda/spread.hpp"
#include "engram/kernels/cuda/spread_hops.cuh"

#include <cub/device/device_radix_sort.cuh>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <limits>

namespace engram::cuda {

void plant(std::uint32_t set, std::span<const seed> seeds, std::vector<planted_seed>& planted) {
  const auto first = static_cast<std::ptrdiff_t>(planted.size());
  for (const seed& s : seeds)
    planted.push_back({set, s.node, s.amount});
  // Stable: the amounts of one node are added in the order given.
  std::stable_sort(planted.begin() + first, planted.end(),
                   [](const planted_seed& a, const planted_seed& b) { return a.node < b.node; });
  auto last = planted.begin() + first;
  for (auto from = last; from != planted.end(); ++last) {
    planted_seed sum = *from;
    for (++from; from != planted.end() && from->node == sum.node; ++from)
      sum.amount += from->amount;
    sum.amount = std::min(sum.amount, 1.0f);
    *last = sum;
  }
  planted.erase(last, planted.end());
}

namespace {

using namespace spreading;

constexpr unsigned simple_threads = 256;
/// Activations are within [0, 1]: as unsigned integers they order alike and are below 2^30.
constexpr int activation_bits = 30;

bool wants_all(std::uint32_t top) noexcept {
  return top == 0 || top > max_spread_top;
}

unsigned blocks_for(std::size_t items) noexcept {
  return static_cast<unsigned>((items + simple_threads - 1) / simple_threads);
}

// -- the workspace --

/// For `top` up to max_spread_top: the groups of nodes that can hold an answer, then their nodes.
struct best_buffers {
  std::size_t groups = 0;
  std::uint32_t cap = 0; // groups picked of a set
  std::uint64_t* maxima; // [sets, groups]
  std::uint32_t* tops;   // [sets]
  std::uint32_t* picked; // [sets, cap]
  std::uint32_t* picked_counts;
  std::uint64_t* keys; // [sets, cap * answer_group]
  std::uint32_t* key_counts;
};

/// For all nodes: one set's activations and nodes, sorted from one of two buffers into another.
struct sort_buffers {
  std::uint32_t* activations[2]; // [nodes]
  node_id* nodes[2];             // [nodes]
  void* scratch;
  std::size_t scratch_bytes = 0;
};

struct workspace_layout {
  std::size_t width = 0; // sets rounded up to a power of two
  hops_run run{};
  std::size_t cleared_when_dense = 0;
  std::size_t cleared_when_sparse = 0;
  best_buffers best{};
  sort_buffers sort{};
  std::size_t bytes = 0;
};

cudaError_t sort_by_activation(void* scratch, std::size_t& scratch_bytes,
                               cub::DoubleBuffer<std::uint32_t>& activations,
                               cub::DoubleBuffer<node_id>& nodes, std::size_t count,
                               cudaStream_t stream) {
  // Stable, so that nodes of equal activation stay ascending.
  return cub::DeviceRadixSort::SortPairsDescending(scratch, scratch_bytes, activations, nodes,
                                                   static_cast<std::uint32_t>(count), 0,
                                                   activation_bits, stream);
}

cudaError_t lay_out_sort(carver& carve, std::size_t nodes, sort_buffers& out) {
  for (int i = 0; i < 2; ++i) {
    out.activations[i] = carve.take<std::uint32_t>(nodes);
    out.nodes[i] = carve.take<node_id>(nodes);
  }
  cub::DoubleBuffer<std::uint32_t> activations(out.activations[0], out.activations[1]);
  cub::DoubleBuffer<node_id> ids(out.nodes[0], out.nodes[1]);
  if (nodes != 0)
    if (const auto error =
            sort_by_activation(nullptr, out.scratch_bytes, activations, ids, nodes, nullptr))
      return error;
  out.scratch = carve.take<std::byte>(out.scratch_bytes);
  return cudaSuccess;
}

void lay_out_best(carver& carve, std::size_t nodes, std::size_t sets, std::uint32_t top,
                  best_buffers& out) {
  out.groups = (nodes + answer_group - 1) / answer_group;
  out.cap = static_cast<std::uint32_t>(std::min<std::size_t>(out.groups, top));
  out.maxima = carve.take<std::uint64_t>(sets * out.groups);
  out.tops = carve.take<std::uint32_t>(sets);
  out.picked = carve.take<std::uint32_t>(sets * out.cap);
  out.picked_counts = carve.take<std::uint32_t>(sets);
  out.keys = carve.take<std::uint64_t>(sets * out.cap * answer_group);
  out.key_counts = carve.take<std::uint32_t>(sets);
}

cudaError_t lay_out(void* base, std::size_t nodes, std::size_t sets, std::uint32_t top,
                    workspace_layout& out) {
  carver carve(base);
  out.width = std::bit_ceil(sets);
  hops_run& run = out.run;
  // The pieces that a call clears come first; a dense call needs the first two of them clear.
  run.activation = carve.take<float>(nodes * out.width);
  run.delta[0] = carve.take<float>(nodes * out.width);
  out.cleared_when_dense = carve.used();
  run.mark = carve.take<std::uint32_t>(nodes);
  run.delta[1] = carve.take<float>(nodes * out.width);
  out.cleared_when_sparse = carve.used();
  run.counters = carve.take<grid_counters>(1);
  for (auto*& list : run.frontier)
    list = carve.take<node_id>(nodes);
  run.first_edges = carve.take<std::uint32_t>(nodes);
  run.targets = carve.take<node_id>(nodes);
  run.hubs = carve.take<node_id>(nodes);
  cudaError_t error = cudaSuccess;
  if (wants_all(top))
    error = lay_out_sort(carve, nodes, out.sort);
  else
    lay_out_best(carve, nodes, sets, top, out.best);
  run.maxima = out.best.maxima;
  run.tops = out.best.tops;
  out.bytes = carve.used();
  return error;
}

// -- the hops --

const void* hops_kernel_for(std::size_t width) noexcept {
  switch (width) {
  case 1:
    return reinterpret_cast<const void*>(&hops_kernel<1>);
  case 2:
    return reinterpret_cast<const void*>(&hops_kernel<2>);
  case 4:
    return reinterpret_cast<const void*>(&hops_kernel<4>);
  case 8:
    return reinterpret_cast<const void*>(&hops_kernel<8>);
  case 16:
    return reinterpret_cast<const void*>(&hops_kernel<16>);
  default:
    return reinterpret_cast<const void*>(&hops_kernel<32>);
  }
}

cudaError_t ask_resident_blocks(std::size_t width, int device, int& blocks) noexcept {
  int processors = 0, per_processor = 0;
  if (const auto error =
          cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device))
    return error;
  if (const auto error = cudaOccupancyMaxActiveBlocksPerMultiprocessor(
          &per_processor, hops_kernel_for(width), block_threads, 0))
    return error;
  blocks = processors * per_processor;
  return blocks == 0 ? cudaErrorCooperativeLaunchTooLarge : cudaSuccess;
}

/// Gives the number of blocks that the current device runs at once. Asks the driver once.
cudaError_t resident_blocks(std::size_t width, int& blocks) noexcept {
  constexpr int remembered = 64;
  static std::array<std::array<std::atomic<int>, 6>, remembered> known{};
  int device = 0;
  if (const auto error = cudaGetDevice(&device)) return error;
  if (device >= remembered) return ask_resident_blocks(width, device, blocks);
  auto& memory =
      known[static_cast<std::size_t>(device)][static_cast<std::size_t>(std::countr_zero(width))];
  blocks = memory.load(std::memory_order_relaxed);
  if (blocks != 0) return cudaSuccess;
  if (const auto error = ask_resident_blocks(width, device, blocks)) return error;
  memory.store(blocks, std::memory_order_relaxed);
  return cudaSuccess;
}

/// Returns the most edges that may leave the moving nodes of a hop for it to be sparse.
std::uint32_t sparse_limit(const device_graph& graph, std::size_t width, spread_walk walk) {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  // Below this a dense hop takes no longer than the second barrier of a sparse one.
  constexpr std::size_t few_products = std::size_t{1} << 20;
  if (walk == spread_walk::dense || graph.edges > most) return 0; // positions have 32 bits
  if (walk == spread_walk::sparse) return most;
  if (graph.edges * width < few_products) return 0;
  // A listed target costs a warp about what a few nodes cost in a dense hop.
  return static_cast<std::uint32_t>(std::min(graph.nodes / 4, most));
}

cudaError_t launch_hops(const workspace_layout& layout, hops_run run, cudaStream_t stream) {
  int resident = 0;
  if (const auto error = resident_blocks(layout.width, resident)) return error;
  // At least a warp for every round of nodes; more would only wait at the barriers.
  const std::size_t rounds = (run.graph.nodes * layout.width + lanes - 1) / lanes;
  const auto blocks =
      static_cast<unsigned>(std::clamp<std::size_t>(rounds, 1, static_cast<std::size_t>(resident)));
  void* arguments[] = {&run};
  return cudaLaunchCooperativeKernel(hops_kernel_for(layout.width), dim3{blocks},
                                     dim3{block_threads}, arguments, 0, stream);
}

// -- the answer: the best nodes --

/// Writes the keys of the picked groups' nodes. One thread a node, blocks [*, sets].
__global__ void list_picked(const float* activation, std::size_t nodes, unsigned width,
                            best_buffers best) {
  const std::uint32_t set = blockIdx.y;
  const std::uint32_t count = best.picked_counts[set] * answer_group;
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i == 0) best.key_counts[set] = count;
  if (i >= count) return;
  const std::size_t group = best.picked[std::size_t{set} * best.cap + i / answer_group];
  const std::size_t node = group * answer_group + i % answer_group;
  const float a = node < nodes ? activation[node * width + set] : 0.0f;
  best.keys[std::size_t{set} * best.cap * answer_group + i] =
      a > 0.0f ? key_of(a, static_cast<node_id>(node)) : 0;
}

cudaError_t take_best_nodes(const workspace_layout& layout, const spread_call& call,
                            std::size_t nodes, cudaStream_t stream) {
  const best_buffers& best = layout.best;
  if (const auto error = pick_groups(best.maxima, call.sets, best.groups, best.tops, best.cap,
                                     best.picked, best.picked_counts, stream))
    return error;
  const std::size_t room = std::size_t{best.cap} * answer_group;
  const dim3 blocks{blocks_for(room), static_cast<unsigned>(call.sets)};
  list_picked<<<blocks, simple_threads, 0, stream>>>(layout.run.activation, nodes,
                                                     static_cast<unsigned>(layout.width), best);
  if (const auto error = cudaGetLastError()) return error;
  return take_best(best.keys, call.sets, room, best.key_counts, best.tops, call.hits,
                   call.hit_stride, call.counts, stream);
}

// -- the answer: all nodes --

__global__ void list_all(const float* activation, std::size_t nodes, unsigned width,
                         std::uint32_t set, std::uint32_t* activations, node_id* ids) {
  const std::size_t node = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (node >= nodes) return;
  activations[node] = __float_as_uint(activation[node * width + set]);
  ids[node] = static_cast<node_id>(node);
}

__global__ void write_all(const std::uint32_t* activations, const node_id* ids, std::size_t nodes,
                          const spread_options* options, hit* hits, std::uint32_t* count) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= nodes) return;
  const std::uint32_t top = options->top;
  const std::size_t most = top == 0 ? nodes : min(std::size_t{top}, nodes);
  const bool is_hit = i < most && activations[i] != 0;
  if (is_hit) hits[i] = {ids[i], __uint_as_float(activations[i])};
  if (is_hit && (i + 1 == most || activations[i + 1] == 0))
    *count = static_cast<std::uint32_t>(i + 1);
  if (i == 0 && !is_hit) *count = 0;
}

cudaError_t sort_nodes(const workspace_layout& layout, const spread_call& call, std::size_t nodes,
                       std::uint32_t set, cudaStream_t stream) {
  const sort_buffers& sort = layout.sort;
  const unsigned blocks = blocks_for(nodes);
  list_all<<<blocks, simple_threads, 0, stream>>>(layout.run.activation, nodes,
                                                  static_cast<unsigned>(layout.width), set,
                                                  sort.activations[0], sort.nodes[0]);
  if (const auto error = cudaGetLastError()) return error;
  cub::DoubleBuffer<std::uint32_t> activations(sort.activations[0], sort.activations[1]);
  cub::DoubleBuffer<node_id> ids(sort.nodes[0], sort.nodes[1]);
  std::size_t scratch_bytes = sort.scratch_bytes;
  if (const auto error =
          sort_by_activation(sort.scratch, scratch_bytes, activations, ids, nodes, stream))
    return error;
  write_all<<<blocks, simple_threads, 0, stream>>>(
      activations.Current(), ids.Current(), nodes, call.options + set,
      call.hits + set * call.hit_stride, call.counts + set);
  return cudaGetLastError();
}

} // namespace

std::size_t spread_workspace_bytes(std::size_t nodes, std::size_t sets, std::uint32_t top) {
  workspace_layout layout;
  if (lay_out(nullptr, nodes, sets, top, layout) != cudaSuccess) return 0;
  return layout.bytes;
}

cudaError_t spread(const device_graph& graph, const spread_call& call, void* workspace,
                   cudaStream_t stream) {
  if (call.sets == 0 || call.sets > max_spread_sets) return cudaErrorInvalidValue;
  workspace_layout layout;
  if (const auto error = lay_out(workspace, graph.nodes, call.sets, call.top, layout)) return error;
  hops_run run = layout.run;
  run.graph = graph;
  run.call = call;
  run.sparse_limit = sparse_limit(graph, layout.width, call.walk);
  run.cleared_bytes =
      run.sparse_limit == 0 ? layout.cleared_when_dense : layout.cleared_when_sparse;
  if (const auto error = launch_hops(layout, run, stream)) return error;
  if (graph.nodes == 0) return cudaSuccess;
  if (!wants_all(call.top)) return take_best_nodes(layout, call, graph.nodes, stream);
  for (std::uint32_t set = 0; set < call.sets; ++set)
    if (const auto error = sort_nodes(layout, call, graph.nodes, set, stream)) return error;
  return cudaSuccess;
}

} // namespace engram::cuda
