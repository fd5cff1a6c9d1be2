#include "engram/config/load.hpp"

namespace engram {
namespace {

// The numbers are those of the guide's configuration blocks and of its tables; where a block is
// silent, so is the preset, and the default holds.

preset_info consumer_high_throughput() {
  return {"consumer-high-throughput",
          "consumer GPU (RTX 3060, GTX 1660 Ti); more than 100 requests/s, P99 below 100 ms",
          R"([gpu]
gpu_min_batch_size = 64
force_cpu_mode = false

[gpu.thresholds]
gpu_speedup_threshold = 1.3 # lower: a consumer GPU wins by less
gpu_success_rate_threshold = 0.95

[gpu.telemetry]
telemetry_enabled = true
performance_window_size = 200 # larger, for stable averages

[batching]
max_wait_ms = 20
target_batch_size = 256
)"};
}

preset_info consumer_low_latency() {
  return {"consumer-low-latency",
          "consumer GPU; fewer than 10 requests/s in small batches, P99 below 10 ms",
          R"([gpu]
# Above target_batch_size on purpose: windows go to the CPU, and only a batch that arrives large is
# worth the launch.
gpu_min_batch_size = 128
force_cpu_mode = false

[gpu.thresholds]
gpu_speedup_threshold = 2.0 # only if the GPU is much faster
gpu_success_rate_threshold = 0.98

[gpu.telemetry]
telemetry_enabled = true
performance_window_size = 100

[batching]
max_wait_ms = 5
target_batch_size = 64
)"};
}

preset_info consumer_mixed() {
  return {"consumer-mixed", "consumer GPU; varying rate and batch sizes", R"([gpu]
gpu_min_batch_size = 96
force_cpu_mode = false

[gpu.thresholds]
gpu_speedup_threshold = 1.5
gpu_success_rate_threshold = 0.95

[gpu.telemetry]
telemetry_enabled = true
performance_window_size = 150

[batching]
max_wait_ms = 10
target_batch_size = 128
)"};
}

preset_info datacenter_high_throughput() {
  return {"datacenter-high-throughput",
          "datacenter GPU (A100, H100, V100); more than 100 requests/s, P99 below 100 ms",
          R"([gpu]
gpu_min_batch_size = 32 # launches cost less
force_cpu_mode = false
vram_safety_margin = 0.7

[gpu.thresholds]
gpu_speedup_threshold = 1.2
gpu_success_rate_threshold = 0.95

[gpu.telemetry]
telemetry_enabled = true
performance_window_size = 500 # more requests to average over

[batching]
max_wait_ms = 20
target_batch_size = 256
)"};
}

preset_info datacenter_low_latency() {
  return {"datacenter-low-latency",
          "datacenter GPU; fewer than 10 requests/s in small batches, P99 below 10 ms", R"([gpu]
enabled = true
gpu_min_batch_size = 64
force_cpu_mode = false
vram_safety_margin = 0.8

[gpu.thresholds]
gpu_speedup_threshold = 1.5
gpu_success_rate_threshold = 0.98

[gpu.telemetry]
telemetry_enabled = true
performance_window_size = 200

[batching]
max_wait_ms = 5
target_batch_size = 64
)"};
}

preset_info datacenter_mixed() {
  return {"datacenter-mixed", "datacenter GPU; varying rate and batch sizes", R"([gpu]
gpu_min_batch_size = 48

[gpu.thresholds]
gpu_speedup_threshold = 1.3 # the careful end of 1.2 to 1.3
gpu_success_rate_threshold = 0.95

[batching]
max_wait_ms = 10
target_batch_size = 128
)"};
}

preset_info rtx3060() {
  return {"rtx3060", "NVIDIA RTX 3060, 12 GB", R"([gpu]
gpu_min_batch_size = 64
vram_safety_margin = 0.75

[gpu.thresholds]
gpu_speedup_threshold = 1.4
)"};
}

preset_info t4() {
  return {"t4", "NVIDIA T4, 16 GB", R"([gpu]
gpu_min_batch_size = 80 # launches cost more than on an A100
vram_safety_margin = 0.80

[gpu.thresholds]
gpu_speedup_threshold = 1.5
)"};
}

preset_info a100() {
  return {"a100", "NVIDIA A100, 40 GB", R"([gpu]
gpu_min_batch_size = 32
vram_safety_margin = 0.70

[gpu.thresholds]
gpu_speedup_threshold = 1.2
)"};
}

preset_info h100() {
  // Measured (bench/README.md): resident search is faster there from one query on 720 rows on,
  // score from 148 ids on; similarity with its targets in the request never is. The predicted
  // speedup tells these apart better than any batch size.
  return {"h100", "NVIDIA H100, 80 GB", R"([gpu]
gpu_min_batch_size = 1
vram_safety_margin = 0.80

[gpu.thresholds]
gpu_speedup_threshold = 1.2

[gpu.host]
late_timeout_ms = 4.0 # the driver tells of a dead context after 0.1 s and more
)"};
}

preset_info vram(const std::string& gigabytes, const std::string& margin,
                 const std::string& summary) {
  return {"vram-" + gigabytes + "gb", summary, "[gpu]\nvram_safety_margin = " + margin + '\n'};
}

preset_info real_time_recommendation() {
  return {"scenario-real-time-recommendation",
          "1000 requests/s of 10 to 100 queries each, P99 below 20 ms", R"([gpu]
gpu_min_batch_size = 96
vram_safety_margin = 0.8

[gpu.thresholds]
gpu_speedup_threshold = 2.0 # only if the GPU is much faster
gpu_success_rate_threshold = 0.98

[batching]
max_wait_ms = 5
)"};
}

preset_info batch_etl() {
  return {"scenario-batch-etl", "as many vectors an hour as possible; latency does not matter",
          R"([gpu]
gpu_min_batch_size = 64
vram_safety_margin = 0.7

[gpu.thresholds]
gpu_speedup_threshold = 1.2
gpu_success_rate_threshold = 0.95

[batching]
max_wait_ms = 20
target_batch_size = 4096
)"};
}

preset_info multi_tenant_saas() {
  return {"scenario-multi-tenant-saas",
          "one process for each tenant, on a MIG slice or a shared GPU; see CUDA_VISIBLE_DEVICES",
          R"([gpu]
gpu_min_batch_size = 64
vram_safety_margin = 0.85

[gpu.thresholds]
gpu_speedup_threshold = 1.5
gpu_success_rate_threshold = 0.95
)"};
}

} // namespace

const std::vector<preset_info>& all_presets() {
  static const std::vector<preset_info> all{
      consumer_high_throughput(),
      consumer_low_latency(),
      consumer_mixed(),
      datacenter_high_throughput(),
      datacenter_low_latency(),
      datacenter_mixed(),
      rtx3060(),
      t4(),
      a100(),
      h100(),
      vram("4", "0.85", "4 GB of GPU memory: 3.4 GB are used"),
      vram("8", "0.80", "8 GB of GPU memory: 6.4 GB are used"),
      vram("12", "0.75", "12 GB of GPU memory or more: 9 GB of 12 are used"),
      real_time_recommendation(),
      batch_etl(),
      multi_tenant_saas()};
  return all;
}

} // namespace engram
