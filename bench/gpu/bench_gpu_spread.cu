// How long is a hop of activation spreading on the GPU, by itself? Device time of Engram's kernel
// for one dense hop, from runs of different lengths over a random graph whose every node is a seed:
// the difference is hops alone. With --json also as one object.
//
//   bench_gpu_spread [--repeats N] [--json FILE] [nodes:sets ...]

#include "engram/kernels/cuda/spread.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace engram;

constexpr std::size_t edges_a_node = 16;
constexpr std::uint32_t short_run = 2, long_run = 10;

void check(cudaError_t code, const char* what) {
  if (code == cudaSuccess) return;
  std::fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(code));
  std::exit(1);
}

/// Device memory with a copy of `host`, freed at the end.
template <class T>
class on_device {
public:
  explicit on_device(const std::vector<T>& host) {
    check(cudaMalloc(&data_, host.size() * sizeof(T) + 256), "cudaMalloc");
    check(cudaMemcpy(data_, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice), "copy");
  }
  ~on_device() { cudaFree(data_); }
  on_device(const on_device&) = delete;
  on_device& operator=(const on_device&) = delete;
  T* get() const { return static_cast<T*>(data_); }

private:
  void* data_ = nullptr;
};

/// A random graph, 16 edges into and out of every node.
struct graph_memory {
  on_device<std::uint64_t> offsets;
  on_device<cuda::in_edge> edges;
  on_device<node_id> targets;
  cuda::device_graph view;

  static std::vector<std::uint64_t> make_offsets(std::size_t nodes) {
    std::vector<std::uint64_t> out(nodes + 1);
    for (std::size_t i = 0; i <= nodes; ++i)
      out[i] = i * edges_a_node;
    return out;
  }
  static std::vector<cuda::in_edge> make_edges(std::size_t nodes, std::mt19937_64& random) {
    std::uniform_real_distribution<float> weight(-1.0f, 1.0f);
    std::vector<cuda::in_edge> out(nodes * edges_a_node);
    for (std::size_t n = 0; n < nodes; ++n) {
      auto* mine = out.data() + n * edges_a_node;
      for (std::size_t e = 0; e < edges_a_node; ++e)
        mine[e] = {static_cast<node_id>(random() % nodes), weight(random)};
      std::sort(mine, mine + edges_a_node,
                [](const auto& a, const auto& b) { return a.source < b.source; });
    }
    return out;
  }
  static std::vector<node_id> make_targets(std::size_t nodes, std::mt19937_64& random) {
    std::vector<node_id> out(nodes * edges_a_node); // dense hops never look at these
    for (auto& target : out)
      target = static_cast<node_id>(random() % nodes);
    return out;
  }

  graph_memory(std::size_t nodes, std::mt19937_64& random)
      : offsets(make_offsets(nodes)), edges(make_edges(nodes, random)),
        targets(make_targets(nodes, random)), view{.nodes = nodes,
                                                   .edges = nodes * edges_a_node,
                                                   .in_offsets = offsets.get(),
                                                   .in_edges = edges.get(),
                                                   .out_offsets = offsets.get(),
                                                   .out_targets = targets.get()} {}
};

std::vector<cuda::planted_seed> everywhere(std::size_t nodes, std::size_t sets) {
  std::vector<cuda::planted_seed> seeds;
  seeds.reserve(nodes * sets);
  for (std::uint32_t s = 0; s < sets; ++s)
    for (std::uint32_t n = 0; n < nodes; ++n)
      seeds.push_back({s, n, 0.25f + 0.5f * static_cast<float>((n * 7 + s) % 64) / 64.0f});
  return seeds;
}

struct result_line {
  std::size_t nodes, sets;
  double seconds_a_hop, seconds_of_run;
  std::uint32_t hops;
};

result_line measure(const graph_memory& graph, std::size_t sets, int repeats) {
  const auto nodes = graph.view.nodes;
  const on_device seeds(everywhere(nodes, sets));
  const on_device seed_count(std::vector{static_cast<std::uint32_t>(nodes * sets)});
  const on_device hits{std::vector<hit>(sets * 128)};
  const on_device counts{std::vector<std::uint32_t>(sets)}, hops{std::vector<std::uint32_t>(sets)};
  const on_device workspace(
      std::vector<std::uint64_t>(cuda::spread_workspace_bytes(nodes, sets, 128) / 8 + 1));
  const auto options = [&](std::uint32_t most) {
    return std::vector<spread_options>(
        sets, {.max_hops = most, .decay = 0.5f, .threshold = 0.0f, .top = 100});
  };
  const on_device few(options(short_run)), many(options(long_run));
  cudaEvent_t start, end;
  check(cudaEventCreate(&start), "event");
  check(cudaEventCreate(&end), "event");
  const auto time = [&](const spread_options* with) {
    check(cudaEventRecord(start), "record");
    check(cuda::spread(graph.view,
                       {.sets = sets,
                        .top = 128,
                        .seeds = seeds.get(),
                        .seed_count = seed_count.get(),
                        .options = with,
                        .hits = hits.get(),
                        .hit_stride = std::min<std::size_t>(nodes, 128),
                        .counts = counts.get(),
                        .hops = hops.get(),
                        .walk = cuda::spread_walk::dense},
                       workspace.get(), nullptr),
          "spread");
    check(cudaEventRecord(end), "record");
    check(cudaEventSynchronize(end), "synchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, start, end), "elapsed");
    return milliseconds * 1e-3;
  };
  std::vector<double> differences, whole;
  for (int r = -2; r < repeats; ++r) {
    const double brief = time(few.get());
    const double lasting = time(many.get());
    if (r < 0) continue;
    differences.push_back((lasting - brief) / (long_run - short_run));
    whole.push_back(brief);
  }
  const auto median = [](std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
  };
  std::uint32_t taken = 0;
  check(cudaMemcpy(&taken, hops.get(), sizeof taken, cudaMemcpyDeviceToHost), "hops");
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  return {nodes, sets, median(differences), median(whole), taken};
}

} // namespace

int main(int argc, char** argv) {
  int repeats = 20;
  const char* json = nullptr;
  std::vector<std::pair<std::size_t, std::size_t>> shapes;
  for (int i = 1; i < argc; ++i) {
    unsigned long nodes = 0, sets = 0;
    if (std::strcmp(argv[i], "--repeats") == 0 && i + 1 < argc)
      repeats = std::max(1, std::atoi(argv[++i]));
    else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc)
      json = argv[++i];
    else if (std::sscanf(argv[i], "%lu:%lu", &nodes, &sets) == 2 && nodes > 0 && sets > 0 &&
             sets <= cuda::max_spread_sets)
      shapes.emplace_back(nodes, sets);
    else
      return std::fprintf(stderr, "'%s' is not nodes:sets (1..32), --repeats N or --json FILE\n",
                          argv[i]),
             2;
  }
  if (shapes.empty())
    for (const std::size_t nodes : {10'000, 100'000, 1'000'000})
      for (const std::size_t sets : {1, 8, 32})
        shapes.emplace_back(nodes, sets);
  std::printf("%10s %5s %14s %18s %5s\n", "nodes", "sets", "us a dense hop", "us for two hops",
              "hops");
  std::vector<result_line> lines;
  std::mt19937_64 random{1};
  std::unique_ptr<graph_memory> graph;
  for (const auto& [nodes, sets] : shapes) {
    if (!graph || graph->view.nodes != nodes) graph = std::make_unique<graph_memory>(nodes, random);
    lines.push_back(measure(*graph, sets, repeats));
    const auto& line = lines.back();
    std::printf("%10zu %5zu %14.1f %18.1f %5u\n", nodes, sets, line.seconds_a_hop * 1e6,
                line.seconds_of_run * 1e6, line.hops);
    std::fflush(stdout);
  }
  if (!json) return 0;
  std::ofstream out(json);
  out << "[";
  for (std::size_t i = 0; i < lines.size(); ++i)
    out << (i ? ",\n" : "\n") << R"({"nodes":)" << lines[i].nodes << R"(,"sets":)" << lines[i].sets
        << R"(,"seconds_a_hop":)" << lines[i].seconds_a_hop << R"(,"seconds_of_two_hops":)"
        << lines[i].seconds_of_run << "}";
  out << "\n]\n";
}
