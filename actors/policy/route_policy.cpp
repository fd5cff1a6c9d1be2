#include "engram/actors/policy/route_policy.hpp"

#include <algorithm>
#include <vector>

namespace engram {

namespace {

bool is_fast_enough(const route_limits& limits, const batch_facts& batch, const gpu_facts& gpu) {
  if (!batch.cpu_seconds || !gpu.gpu_seconds) return true;
  return *batch.cpu_seconds >= limits.speedup_threshold * *gpu.gpu_seconds;
}

double finish(const gpu_facts& gpu) {
  return gpu.queue_seconds + gpu.gpu_seconds.value_or(0.0);
}

bool finishes_before_cpu(const batch_facts& batch, const gpu_facts& gpu) {
  if (!gpu.has_credit) return false;
  if (!batch.cpu_seconds || !gpu.gpu_seconds) return true;
  return finish(gpu) <= batch.cpu_queue_seconds + *batch.cpu_seconds;
}

} // namespace

route decide_route(const route_limits& limits, const batch_facts& batch,
                   std::span<const gpu_facts> gpus) {
  const auto cpu = [](route_reason why) { return route{0, why}; };
  if (limits.force_cpu) return cpu(route_reason::forced_cpu);
  if (!limits.gpu_enabled || gpus.empty()) return cpu(route_reason::no_gpu);

  std::vector<gpu_facts> left{gpus.begin(), gpus.end()};
  // Keeps the GPUs that pass; true while any is left.
  const auto keep = [&left](auto passes) {
    std::erase_if(left, [&](const gpu_facts& gpu) { return !passes(gpu); });
    return !left.empty();
  };
  if (!keep([](const gpu_facts& g) { return g.resident; })) return cpu(route_reason::not_resident);
  if (!keep([](const gpu_facts& g) { return g.enabled; })) return cpu(route_reason::gpu_disabled);
  if (batch.items < limits.min_batch) return cpu(route_reason::below_min_batch);
  if (!keep([&](const gpu_facts& g) { return is_fast_enough(limits, batch, g); }))
    return cpu(route_reason::below_speedup);
  if (!keep([](const gpu_facts& g) { return g.fits_budget; }))
    return cpu(route_reason::vram_budget);
  if (!keep([&](const gpu_facts& g) { return finishes_before_cpu(batch, g); }))
    return cpu(route_reason::gpu_busy);
  const auto first = std::ranges::min_element(left, {}, finish);
  return {first->device, route_reason::gpu};
}

} // namespace engram
