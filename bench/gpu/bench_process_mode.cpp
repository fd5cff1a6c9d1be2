// What does a GPU in child processes cost over one in this process? The same batches on both, one
// after the other in turns, host query in, host result out.
//
//   bench_process_mode ENGRAM [GPU]      ENGRAM: the engram binary; GPU: "cuda:0" (default) or
//   "sim:h100"

#include "engram/bench/gpu/random_data.hpp"
#include "engram/config/options.hpp"
#include "engram/kernels/cosine.hpp"
#include "engram/pipeline/make_devices.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <future>
#include <string>
#include <vector>

namespace {

using namespace engram;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t rows = 102'400, dim = 768;
constexpr int rounds = 20, runs_a_round = 200;

work_batch_ptr search(const dataset_ptr& data, std::size_t queries) {
  auto payload = std::make_shared<work_payload>();
  payload->op = operation::search;
  payload->data = data;
  payload->dim = dim;
  payload->k = 10;
  payload->queries = bench::random_floats(queries * dim, 7);
  for (std::size_t q = 0; q < queries; ++q)
    payload->inverse_norms.push_back(inverse_norm(payload->query_rows().row(q)));
  return whole_batch(payload);
}

/// Returns the seconds from `run` to `done`; negative if it failed.
double run(device& on, const work_batch_ptr& batch) {
  std::promise<std::pair<clock_type::time_point, bool>> ended;
  auto end = ended.get_future();
  const auto begun = clock_type::now();
  on.run(batch, [&ended](run_outcome outcome) {
    ended.set_value({clock_type::now(), !outcome.fault});
  });
  const auto [when, good] = end.get();
  return good ? std::chrono::duration<double>(when - begun).count() : -1;
}

double percentile(std::vector<double> values, double p) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))] * 1e6;
}

int refuse(const error& why) {
  std::fprintf(stderr, "bench_process_mode: %s\n", why.message.c_str());
  return 2;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) return refuse({ec::invalid_argument, "name the engram binary."});
  const std::string gpu = argc > 2 ? argv[2] : "cuda:0";
  std::vector<made_devices> made;
  std::vector<std::unique_ptr<fault_points>> faults;
  for (const char* isolation : {"none", "process"}) {
    pipeline_options options;
    options.gpu.devices = {gpu.starts_with("cuda:") ? gpu.substr(5) : gpu};
    options.gpu.isolation = isolation;
    options.gpu.host.program = argv[1];
    options.gpu.vram_safety_margin = 0.4; // both are on the card at once
    faults.push_back(std::make_unique<fault_points>());
    auto devices = make_devices(options, *faults.back());
    if (!devices) return refuse(devices.error());
    made.push_back(std::move(*devices));
  }
  auto collection = bench::random_collection(rows, dim, element_type::bf16, 1);
  if (!collection) return refuse(collection.error());
  auto data = std::make_shared<dataset>();
  data->name = "vectors";
  data->key = 1;
  data->content = *collection;
  for (auto& each : made)
    if (auto published = each.devices[1]->publish(data); !published)
      return refuse(published.error());
  std::printf("%s, %zu x %zu bf16, us: p50 / p99\n%8s %18s %18s %10s\n",
              made[0].devices[1]->info().model.c_str(), rows, dim, "queries", "none", "process",
              "p50 more");
  for (const std::size_t queries : {1, 8, 64, 256}) {
    const auto batch = search(data, queries);
    std::vector<double> seconds[2];
    for (int round = 0; round < rounds; ++round)
      for (std::size_t m = 0; m < 2; ++m)
        for (int i = 0; i < runs_a_round; ++i) {
          const auto took = run(*made[m].devices[1], batch);
          if (took < 0) return refuse({ec::internal, "a batch failed."});
          if (i >= runs_a_round / 10) seconds[m].push_back(took); // the first ones wake threads
        }
    const double none = percentile(seconds[0], 0.5), process = percentile(seconds[1], 0.5);
    std::printf("%8zu %8.1f / %7.1f %8.1f / %7.1f %10.1f\n", queries, none,
                percentile(seconds[0], 0.99), process, percentile(seconds[1], 0.99),
                process - none);
  }
}
