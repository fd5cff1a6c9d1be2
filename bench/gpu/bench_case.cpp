#include "engram/bench/gpu/bench_case.hpp"

#include <string_view>

namespace engram::bench {

namespace {

/// A family whose cases differ in one number.
struct sweep {
  std::string_view family;
  std::string_view title; ///< goes before "(SIZE UNIT)"
  std::string_view unit;
  std::vector<std::uint64_t> sizes;
  work_shape work;
  bool size_is_rows = false; ///< else the size is the number of items
};

void add(std::vector<bench_case>& cases, const sweep& s) {
  for (const auto size : s.sizes) {
    bench_case c;
    c.family = s.family;
    c.name = c.family + '/' + std::to_string(size);
    c.unit = s.unit;
    c.title = std::string{s.title} + " (" + std::to_string(size) + ' ' + c.unit + ')';
    c.size = size;
    c.work = s.work;
    (s.size_is_rows ? c.work.rows : c.work.items) = size;
    cases.push_back(std::move(c));
  }
}

void add_sweeps(std::vector<bench_case>& cases) {
  const std::vector<std::uint64_t> vectors{16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 10'240};
  const std::vector<std::uint64_t> items{1, 4, 16, 64, 256};
  add(cases, {"cosine_similarity_cpu_vs_gpu",
              "Cosine Similarity, targets in the request",
              "vectors",
              vectors,
              {.op = operation::similarity}});
  auto resident = vectors;
  resident.push_back(102'400);
  add(cases, {"cosine_search_resident",
              "Cosine Search, resident vectors",
              "vectors",
              resident,
              {.op = operation::search},
              true});
  add(cases, {"search_batch_cpu_vs_gpu",
              "Cosine Search, 10240 resident vectors",
              "queries",
              items,
              {.op = operation::search, .rows = 10'240}});
  add(cases, {"score_cpu_vs_gpu",
              "Score, 102400 resident vectors",
              "ids",
              vectors,
              {.op = operation::score, .rows = 102'400}});
  add(cases, {"activation_spreading_cpu_vs_gpu",
              "Activation Spreading",
              "nodes",
              {128, 256, 512, 1000, 10'000, 100'000},
              {.op = operation::spread},
              true});
  add(cases, {"spread_batch_cpu_vs_gpu",
              "Activation Spreading, 10000 nodes",
              "seed sets",
              items,
              {.op = operation::spread, .rows = 10'000}});
}

std::string_view name_of(element_type type) {
  return type == element_type::f32 ? "f32" : type == element_type::f16 ? "f16" : "bf16";
}

bench_case search_case(std::size_t rows, element_type type, std::size_t queries) {
  bench_case c;
  c.family = "search";
  const auto shape =
      std::to_string(rows) + "x768/" + std::string{name_of(type)} + "/q" + std::to_string(queries);
  c.name = c.family + '/' + shape;
  c.title = "Cosine Search, resident vectors (" + shape + ", k 10)";
  c.work = {.op = operation::search, .rows = rows, .type = type, .items = queries};
  c.large = rows >= 1'000'000;
  return c;
}

/// The shapes that PyTorch was measured on (peers/torch_topk.py has the same list).
void add_search(std::vector<bench_case>& cases) {
  struct row {
    std::size_t rows;
    element_type type;
    std::vector<std::size_t> queries;
  };
  using enum element_type;
  const row table[] = {{1024, f32, {1}},       {10'240, bf16, {64}},
                       {102'400, f32, {1}},    {102'400, bf16, {1, 256}},
                       {1'000'000, f32, {1}},  {1'000'000, bf16, {1, 16, 64, 256, 1024}},
                       {4'000'000, bf16, {64}}};
  for (const auto& each : table)
    for (const auto queries : each.queries)
      cases.push_back(search_case(each.rows, each.type, queries));
}

/// Weights are positive and decay undoes the growth that 16 edges a node bring (see random_graph),
/// so that activation neither dies out nor saturates and every hop after the first finds nearly
/// every node active.
bench_case hop_case(std::size_t nodes, std::size_t sets) {
  bench_case c;
  c.family = "spread_hop";
  const auto shape = std::to_string(nodes) + "/B" + std::to_string(sets);
  c.name = c.family + '/' + shape;
  c.title = "Dense spreading hop (" + shape + ", 16 edges a node)";
  c.kind = case_kind::hop;
  c.work = {.op = operation::spread, .rows = nodes, .items = sets, .seeds = nodes / 16};
  c.work.spread = {.max_hops = 10, .decay = 0.125f, .threshold = 0.0f, .top = 10};
  c.large = nodes >= 1'000'000;
  return c;
}

void add_hops(std::vector<bench_case>& cases) {
  for (const std::size_t nodes : {10'000, 100'000, 1'000'000, 4'000'000})
    for (const std::size_t sets : {1, 8, 32})
      cases.push_back(hop_case(nodes, sets));
}

void add_pipeline(std::vector<bench_case>& cases) {
  bench_case c;
  c.family = "pipeline";
  c.kind = case_kind::pipeline_latency;
  c.name = "pipeline/search/102400x768/bf16/q1";
  c.title = "Pipeline, search (102400x768 bf16, 1 query, k 10)";
  c.work = {.op = operation::search, .rows = 102'400, .type = element_type::bf16};
  cases.push_back(c);
  c.kind = case_kind::pipeline_flood;
  c.name = "pipeline/throughput/102400x768/bf16";
  c.title = "Pipeline, search under load (102400x768 bf16, k 10)";
  cases.push_back(c);
  c.kind = case_kind::pipeline_latency;
  c.name = "pipeline/search/10240x768/f32/q1";
  c.title = "Pipeline, search (10240x768 f32, 1 query, k 10)";
  c.work = {.op = operation::search, .rows = 10'240};
  cases.push_back(c);
}

} // namespace

std::vector<bench_case> all_cases() {
  std::vector<bench_case> cases;
  add_sweeps(cases);
  add_search(cases);
  add_hops(cases);
  add_pipeline(cases);
  return cases;
}

} // namespace engram::bench
