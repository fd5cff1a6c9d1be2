// How fast does activation spread through a random graph, one seed set at a time and many at once?

#include "engram/kernels/spread.hpp"

#include <CLI/CLI.hpp>
#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <atomic>
#include <cstdio>
#include <random>

#include "measure.hpp"

namespace {

using namespace engram;
using namespace engram::bench;

struct options {
  std::size_t nodes = 100'000;
  std::size_t degree = 16;
  std::size_t seeds = 4;
  int threads = 2;
  int repeats = 7;
  std::vector<std::size_t> batches = {1, 8, 64, 256};
  spread_options spreading;
  bool json = false;
};

// One direction of a graph: who is at the other end of each node's edges, and how strongly.
struct adjacency {
  std::vector<std::uint64_t> offsets;
  std::vector<node_id> others;
  std::vector<float> weights;
};

// Every node gets `degree` edges to random targets.
class random_graph {
public:
  random_graph(std::size_t nodes, std::size_t degree) : nodes_(nodes) {
    std::mt19937 generator(1);
    std::uniform_int_distribution<node_id> any(0, static_cast<node_id>(nodes - 1));
    std::uniform_real_distribution<float> weight(-0.2f, 1.0f);
    out_.offsets.push_back(0);
    std::vector<node_id> targets(degree);
    for (std::size_t i = 0; i < nodes; ++i) {
      for (node_id& target : targets)
        target = any(generator);
      std::sort(targets.begin(), targets.end());
      const auto last = std::unique(targets.begin(), targets.end());
      for (auto at = targets.begin(); at != last; ++at) {
        out_.others.push_back(*at);
        out_.weights.push_back(weight(generator));
      }
      out_.offsets.push_back(out_.others.size());
    }
    turn_round();
  }

  graph_view view() const {
    return {nodes_,
            out_.others.size(),
            in_.offsets.data(),
            in_.others.data(),
            in_.weights.data(),
            out_.offsets.data(),
            out_.others.data(),
            out_.weights.data()};
  }

private:
  // A counting sort by target; sources come out ascending because they go in ascending.
  void turn_round() {
    in_.offsets.assign(nodes_ + 1, 0);
    for (node_id target : out_.others)
      ++in_.offsets[target + 1];
    for (std::size_t j = 0; j < nodes_; ++j)
      in_.offsets[j + 1] += in_.offsets[j];
    in_.others.resize(out_.others.size());
    in_.weights.resize(out_.others.size());
    std::vector<std::uint64_t> next(in_.offsets.begin(), in_.offsets.end() - 1);
    for (std::size_t i = 0; i < nodes_; ++i)
      for (auto e = out_.offsets[i]; e < out_.offsets[i + 1]; ++e) {
        const auto at = next[out_.others[e]]++;
        in_.others[at] = static_cast<node_id>(i);
        in_.weights[at] = out_.weights[e];
      }
  }

  std::size_t nodes_;
  adjacency in_, out_;
};

class parallel_spread {
public:
  parallel_spread(const graph_view& graph, const spread_options& spreading, int threads)
      : graph_(graph), spreading_(spreading), arena_(threads) {}

  // Returns the edges touched.
  std::uint64_t run(const std::vector<std::vector<seed>>& seed_sets, std::size_t count) {
    std::atomic<std::uint64_t> edges = 0;
    arena_.execute([&] {
      oneapi::tbb::parallel_for(std::size_t{0}, count, [&](std::size_t i) {
        edges += spread(graph_, seed_sets[i], spreading_, scratches_.local()).edges_touched;
      });
    });
    return edges;
  }

private:
  graph_view graph_;
  spread_options spreading_;
  oneapi::tbb::task_arena arena_;
  oneapi::tbb::enumerable_thread_specific<spread_scratch> scratches_;
};

std::vector<std::vector<seed>> random_seed_sets(const options& opts, std::size_t count) {
  std::mt19937 generator(2);
  std::uniform_int_distribution<node_id> any(0, static_cast<node_id>(opts.nodes - 1));
  std::vector<std::vector<seed>> sets(count);
  for (auto& set : sets)
    for (std::size_t s = 0; s < opts.seeds; ++s)
      set.push_back({any(generator), 1.0f});
  return sets;
}

void report(const options& opts, const std::vector<timed_case>& cases,
            const std::vector<std::uint64_t>& edges) {
  if (opts.json) {
    nlohmann::json all = {{"nodes", opts.nodes}, {"degree", opts.degree}, {"seeds", opts.seeds}};
    for (std::size_t i = 0; i < cases.size(); ++i) {
      all["cases"].push_back(to_json(cases[i]));
      all["cases"].back()["edges_touched"] = edges[i];
    }
    std::printf("%s\n", all.dump(2).c_str());
    return;
  }
  std::printf("%zu nodes, %zu edges a node, %zu seeds, %u hops, %d threads, milliseconds\n",
              opts.nodes, opts.degree, opts.seeds, opts.spreading.max_hops, opts.threads);
  std::printf("%-8s %9s %9s %9s %14s\n", "batch", "median", "min", "max", "edges/us");
  for (std::size_t i = 0; i < cases.size(); ++i)
    std::printf("%-8s %9.3f %9.3f %9.3f %14.0f\n", cases[i].name.c_str(), 1e3 * cases[i].median(),
                1e3 * cases[i].minimum(), 1e3 * cases[i].maximum(),
                static_cast<double>(edges[i]) / (1e6 * cases[i].median()));
}

} // namespace

int main(int argc, char** argv) {
  options opts;
  CLI::App app{"Times activation spreading on a random graph"};
  app.add_option("--nodes", opts.nodes)->capture_default_str()->check(CLI::PositiveNumber);
  app.add_option("--degree", opts.degree)->capture_default_str();
  app.add_option("--seeds", opts.seeds, "seeds in a set")->capture_default_str();
  app.add_option("--hops", opts.spreading.max_hops)->capture_default_str();
  app.add_option("--threshold", opts.spreading.threshold)->capture_default_str();
  app.add_option("--batches", opts.batches, "seed sets at once")->capture_default_str();
  app.add_option("--threads", opts.threads)->capture_default_str();
  app.add_option("--repeats", opts.repeats)->capture_default_str()->check(CLI::Range(1, 1000));
  app.add_flag("--json", opts.json);
  CLI11_PARSE(app, argc, argv);

  const random_graph graph(opts.nodes, opts.degree);
  const auto sets =
      random_seed_sets(opts, *std::max_element(opts.batches.begin(), opts.batches.end()));
  parallel_spread spreader(graph.view(), opts.spreading, opts.threads);
  std::vector<timed_case> cases;
  std::vector<std::uint64_t> edges(opts.batches.size());
  for (std::size_t i = 0; i < opts.batches.size(); ++i)
    cases.push_back({std::to_string(opts.batches[i]),
                     [&, i] { edges[i] = spreader.run(sets, opts.batches[i]); }});
  measure(cases, opts.repeats);
  report(opts, cases, edges);
}
