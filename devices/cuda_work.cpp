#include "engram/devices/cuda_work.hpp"

#include "engram/devices/cuda_work_kinds.hpp"
#include "engram/kernels/cuda/search.hpp"
#include "engram/kernels/cuda/select.hpp"

namespace engram {

std::unique_ptr<cuda_work> make_cuda_work(const work_batch& batch, resident_ptr resident,
                                          bool has_filter, const pinned_regions& pinned) {
  switch (batch.op) {
  case operation::search:
    return make_cuda_search(batch, std::move(resident), has_filter, pinned);
  case operation::similarity:
    return make_cuda_similarity(batch, pinned);
  case operation::score:
    return make_cuda_score(batch, std::move(resident));
  case operation::spread:
    break;
  }
  return make_cuda_spread(batch, std::move(resident));
}

lane_needs needs_of(const cuda_dataset& resident, bool has_filter) {
  constexpr std::size_t many_queries = 1024;
  constexpr std::size_t few_queries = 16;
  constexpr std::uint32_t usual_k = 16;
  using cuda::search_pass;
  if (resident.data->collection()) {
    const auto bytes = [&](std::size_t queries, std::uint32_t k, search_pass pass) {
      return cuda::search_workspace_bytes(resident.rows, queries, k, pass);
    };
    // A scan follows a filter that could not prove an answer.
    auto least = bytes(1, cuda::max_take, search_pass::scan);
    auto best = bytes(few_queries, usual_k, search_pass::scan);
    if (has_filter) {
      least = std::max(least, bytes(1, cuda::max_take, search_pass::filter));
      best = std::max(best, bytes(many_queries, usual_k, search_pass::filter));
    }
    return {.least_workspace = least, .best_workspace = std::max(least, best)};
  }
  constexpr std::size_t spare = 64u << 10; // options, counts and what alignment takes
  const auto nodes = resident.graph.nodes;
  const auto least = cuda::spread_workspace_bytes(nodes, 1, 0);
  return {.in_bytes = nodes * sizeof(cuda::planted_seed) + spare,
          .out_bytes = nodes * sizeof(hit) + spare,
          .least_workspace = least,
          .best_workspace = std::max(
              least, cuda::spread_workspace_bytes(nodes, cuda::max_spread_sets, cuda::max_take))};
}

} // namespace engram
