// The GPU spreads like the reference, to the bit: every walk, every number of sets, all at once.

#include "engram/kernels/cuda/spread.hpp"
#include "engram/tests/kernels/cuda/on_device.hpp"

#include <algorithm>
#include <random>

namespace engram::test {
namespace {

using cuda::planted_seed;
using cuda::spread_walk;

constexpr spread_walk walks[] = {spread_walk::automatic, spread_walk::dense, spread_walk::sparse};

struct edge {
  node_id source;
  node_id target;
  float weight;
};

/// A graph here and on the GPU. Of parallel edges one counts.
class graph {
public:
  graph(std::size_t nodes, std::vector<edge> edges) : nodes_(nodes) {
    std::ranges::sort(edges, {}, [](const edge& e) { return std::pair(e.target, e.source); });
    const auto parallel =
        std::ranges::unique(edges, {}, [](const edge& e) { return std::pair(e.target, e.source); });
    edges.erase(parallel.begin(), parallel.end());
    for (const edge& e : edges) {
      in_sources_.push_back(e.source);
      in_weights_.push_back(e.weight);
      in_edges_.push_back({e.source, e.weight});
    }
    in_offsets_ = offsets(edges, &edge::target);
    std::ranges::stable_sort(edges, {}, &edge::source);
    for (const edge& e : edges) {
      out_targets_.push_back(e.target);
      out_weights_.push_back(e.weight);
    }
    out_offsets_ = offsets(edges, &edge::source);
    gpu_in_offsets_.emplace(in_offsets_);
    gpu_in_edges_.emplace(in_edges_);
    gpu_out_offsets_.emplace(out_offsets_);
    gpu_out_targets_.emplace(out_targets_);
  }

  std::size_t nodes() const { return nodes_; }
  graph_view view() const {
    return {nodes_,
            in_sources_.size(),
            in_offsets_.data(),
            in_sources_.data(),
            in_weights_.data(),
            out_offsets_.data(),
            out_targets_.data(),
            out_weights_.data()};
  }
  cuda::device_graph device() const {
    return {nodes_,
            in_edges_.size(),
            gpu_in_offsets_->get(),
            gpu_in_edges_->get(),
            gpu_out_offsets_->get(),
            gpu_out_targets_->get()};
  }

private:
  std::vector<std::uint64_t> offsets(const std::vector<edge>& edges, node_id edge::*end) const {
    std::vector<std::uint64_t> out(nodes_ + 1);
    for (const edge& e : edges)
      ++out[e.*end + 1];
    for (std::size_t j = 0; j < nodes_; ++j)
      out[j + 1] += out[j];
    return out;
  }

  std::size_t nodes_;
  std::vector<std::uint64_t> in_offsets_, out_offsets_;
  std::vector<node_id> in_sources_, out_targets_;
  std::vector<float> in_weights_, out_weights_;
  std::vector<cuda::in_edge> in_edges_;
  std::optional<on_device<std::uint64_t>> gpu_in_offsets_, gpu_out_offsets_;
  std::optional<on_device<cuda::in_edge>> gpu_in_edges_;
  std::optional<on_device<node_id>> gpu_out_targets_;
};

using random_engine = std::mt19937;

float random_weight(random_engine& random) {
  return std::uniform_real_distribution<float>(-0.6f, 1.0f)(random);
}

node_id random_node(random_engine& random, std::size_t nodes) {
  return static_cast<node_id>(std::uniform_int_distribution<std::size_t>(0, nodes - 1)(random));
}

std::vector<edge> random_edges(std::size_t nodes, std::size_t degree, random_engine& random) {
  std::vector<edge> edges;
  for (std::size_t e = 0; e < nodes * degree; ++e)
    edges.push_back(
        {random_node(random, nodes), random_node(random, nodes), random_weight(random)});
  return edges;
}

graph random_graph(std::size_t nodes, std::size_t degree, unsigned number) {
  random_engine random{number};
  return {nodes, random_edges(nodes, degree, random)};
}

/// Some nodes receive from every node, some send to every node, and the rest prefers low numbers.
graph graph_with_hubs(std::size_t nodes, unsigned number) {
  random_engine random{number};
  auto edges = random_edges(nodes, 2, random);
  for (node_id other = 0; other < nodes; ++other) {
    for (const std::size_t hub : {std::size_t{5}, std::size_t{6}, nodes / 2, nodes - 1})
      edges.push_back({other, static_cast<node_id>(hub), random_weight(random)});
    edges.push_back({9, other, random_weight(random)});
    for (int i = 0; i < 4; ++i)
      edges.push_back({other, random_node(random, random_node(random, nodes) + std::size_t{1}),
                       random_weight(random)});
  }
  return {nodes, std::move(edges)};
}

struct request {
  std::vector<seed> seeds;
  spread_options options;
};

std::vector<seed> random_seeds(std::size_t nodes, std::size_t count, random_engine& random) {
  std::uniform_real_distribution<float> amount(0.01f, 1.0f);
  std::vector<seed> seeds;
  for (std::size_t i = 0; i < count; ++i)
    seeds.push_back({random_node(random, nodes), amount(random)});
  return seeds;
}

/// Requests that differ in everything. Some have the same node among their seeds twice, or none.
std::vector<request> random_requests(std::size_t nodes, std::size_t sets, std::uint32_t top,
                                     unsigned number) {
  constexpr std::uint32_t hops[] = {3, 1, 6, 2, 64, 10};
  constexpr float decays[] = {0.5f, 1.0f, 0.1f, 0.9f};
  constexpr float thresholds[] = {0.0f, 0.01f, 0.2f, 0.0f, 0.999f};
  constexpr std::size_t seeds[] = {1, 40, 3, 0, 500, 2, 7};
  random_engine random{number};
  std::vector<request> requests;
  for (std::size_t i = 0; i < sets; ++i) {
    const auto pick = i + number;
    request r{random_seeds(nodes, seeds[pick % 7], random),
              {hops[pick % 6], decays[pick % 4], thresholds[pick % 5], top}};
    if (!r.seeds.empty() && i % 2 == 0) r.seeds.push_back({r.seeds.front().node, 0.3f});
    requests.push_back(std::move(r));
  }
  return requests;
}

std::uint32_t largest_top(const std::vector<request>& requests) {
  std::uint32_t largest = 1;
  for (const request& r : requests) {
    if (r.options.top == 0) return 0;
    largest = std::max(largest, r.options.top);
  }
  return largest;
}

/// A call with all that it needs on the GPU. What the GPU must not rely on is filled with rubbish.
class gpu_call {
public:
  gpu_call(const graph& g, const std::vector<request>& requests,
           spread_walk walk = spread_walk::automatic)
      : graph_(g), call_{.sets = requests.size(), .top = largest_top(requests), .walk = walk},
        seeds_(seed_room), seed_count_(1), options_(cuda::max_spread_sets),
        hits_(call_.sets * stride()), counts_(call_.sets), hops_(call_.sets),
        workspace_(std::vector<std::byte>(
            cuda::spread_workspace_bytes(g.nodes(), call_.sets, call_.top), std::byte{0xa5})) {
    call_.seeds = seeds_.get();
    call_.seed_count = seed_count_.get();
    call_.options = options_.get();
    call_.hits = hits_.get();
    call_.hit_stride = stride();
    call_.counts = counts_.get();
    call_.hops = hops_.get();
    set(requests);
  }

  /// Other requests of the same shape for the next run.
  void set(const std::vector<request>& requests) {
    std::vector<planted_seed> planted;
    std::vector<spread_options> options;
    for (const request& r : requests) {
      cuda::plant(static_cast<std::uint32_t>(options.size()), r.seeds, planted);
      options.push_back(r.options);
    }
    std::ranges::shuffle(planted, random_engine{1});
    ASSERT_LE(planted.size(), seed_room);
    upload(seeds_, planted);
    upload(seed_count_, std::vector{static_cast<std::uint32_t>(planted.size())});
    upload(options_, options);
  }

  cuda::spread_call& call() { return call_; }

  void enqueue(cudaStream_t stream) {
    ASSERT_EQ(cuda::spread(graph_.device(), call_, workspace_.get(), stream), cudaSuccess);
  }

  /// The answers, once the stream has finished.
  std::vector<spread_result> answers() const {
    return answers(hits_.fetch(), counts_.fetch(), hops_.fetch());
  }
  std::vector<spread_result> answers(const std::vector<hit>& hits,
                                     const std::vector<std::uint32_t>& counts,
                                     const std::vector<std::uint32_t>& hops) const {
    std::vector<spread_result> out(call_.sets);
    for (std::size_t set = 0; set < call_.sets; ++set) {
      EXPECT_LE(counts[set], stride());
      const auto first = hits.begin() + static_cast<std::ptrdiff_t>(set * stride());
      out[set].hits.assign(first, first + std::min<std::size_t>(counts[set], stride()));
      out[set].hops = hops[set];
    }
    return out;
  }

  std::size_t stride() const {
    const auto nodes = graph_.nodes();
    return call_.top == 0 ? nodes : std::min<std::size_t>(nodes, call_.top);
  }

private:
  static constexpr std::size_t seed_room = 40'000;

  template <class T>
  static void upload(const on_device<T>& to, const std::vector<T>& from) {
    EXPECT_EQ(cudaMemcpy(to.get(), from.data(), from.size() * sizeof(T), cudaMemcpyHostToDevice),
              cudaSuccess);
  }

  const graph& graph_;
  cuda::spread_call call_;
  on_device<planted_seed> seeds_;
  on_device<std::uint32_t> seed_count_;
  on_device<spread_options> options_;
  on_device<hit> hits_;
  on_device<std::uint32_t> counts_, hops_;
  on_device<std::byte> workspace_;
};

std::vector<spread_result> spread_on_gpu(const graph& g, const std::vector<request>& requests,
                                         spread_walk walk = spread_walk::automatic) {
  gpu_call call(g, requests, walk);
  call.enqueue(nullptr);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
  return call.answers();
}

std::vector<spread_result> reference(const graph& g, const std::vector<request>& requests) {
  std::vector<spread_result> out;
  for (const request& r : requests)
    out.push_back(spread_reference(g.view(), r.seeds, r.options));
  return out;
}

void expect_equal(const std::vector<spread_result>& got,
                  const std::vector<spread_result>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t set = 0; set < got.size(); ++set) {
    EXPECT_EQ(got[set].hops, expected[set].hops) << "set " << set;
    ASSERT_EQ(got[set].hits.size(), expected[set].hits.size()) << "set " << set;
    const auto [mine, other] = std::ranges::mismatch(got[set].hits, expected[set].hits);
    ASSERT_EQ(mine, got[set].hits.end())
        << "set " << set << ": node " << mine->id << " with " << mine->score << ", expected "
        << other->id << " with " << other->score;
  }
}

void expect_like_the_reference(const graph& g, const std::vector<request>& requests) {
  const auto expected = reference(g, requests);
  for (const auto walk : walks) {
    SCOPED_TRACE("walk " + std::to_string(static_cast<int>(walk)) + ", " +
                 std::to_string(requests.size()) + " sets");
    expect_equal(spread_on_gpu(g, requests, walk), expected);
  }
}

TEST(cuda_spread, small_seeds_are_planted_as_the_contract_adds_them) {
  random_engine random{1};
  auto seeds = random_seeds(50, 200, random);
  std::vector<planted_seed> planted = {{3, 49, 0.5f}};
  cuda::plant(4, seeds, planted);
  cuda::plant(5, {}, planted);

  std::vector<float> expected(50);
  for (const seed& s : seeds)
    expected[s.node] += s.amount;
  std::vector<planted_seed> wanted = {{3, 49, 0.5f}};
  for (node_id j = 0; j < 50; ++j)
    if (expected[j] > 0.0f) wanted.push_back({4, j, std::min(expected[j], 1.0f)});
  EXPECT_EQ(planted, wanted);
}

class cuda_spread_nodes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(cuda_spread_nodes, any_number_of_sets_gives_the_references_bits) {
  const auto nodes = GetParam();
  const auto g = random_graph(nodes, 5, static_cast<unsigned>(nodes));
  for (std::size_t sets : {1, 2, 3, 8, 13, 31, 32})
    expect_like_the_reference(g, random_requests(nodes, sets, 100, static_cast<unsigned>(sets)));
}

INSTANTIATE_TEST_SUITE_P(small, cuda_spread_nodes, ::testing::Values(1, 31, 32, 33, 63, 64, 1000));

class cuda_spread_top : public ::testing::TestWithParam<std::uint32_t> {};

TEST_P(cuda_spread_top, every_length_of_answer_is_sorted_like_the_references) {
  const auto g = random_graph(7000, 4, 2);
  for (std::size_t sets : {1, 5, 32}) {
    auto requests = random_requests(7000, sets, GetParam(), 3);
    expect_like_the_reference(g, requests);
    requests.back().options.top = 7; // others want another number
    expect_like_the_reference(g, requests);
  }
}

INSTANTIATE_TEST_SUITE_P(tops, cuda_spread_top,
                         ::testing::Values(1, 100, 2048, 2049, 5000, 7000, 10'000, 0));

TEST(cuda_spread, small_tops_and_all_nodes_in_one_call) {
  const auto g = random_graph(300, 4, 4);
  auto requests = random_requests(300, 4, 3, 5);
  requests[1].options.top = 0;
  requests[2].options.top = 1000;
  expect_like_the_reference(g, requests);
}

TEST(cuda_spread, small_graphs_with_hubs) {
  const auto g = graph_with_hubs(1300, 6);
  for (std::size_t sets : {1, 2, 4, 7, 32})
    expect_like_the_reference(g, random_requests(1300, sets, 50, 7));
}

TEST(cuda_spread, hubs_among_many_nodes) {
  const auto g = graph_with_hubs(60'000, 8);
  for (std::size_t sets : {1, 8, 32})
    expect_like_the_reference(g, random_requests(60'000, sets, 1000, 9));
}

TEST(cuda_spread, a_hundred_thousand_nodes) {
  const auto g = random_graph(100'000, 16, 10);
  for (std::size_t sets : {1, 2, 3, 8, 32}) {
    auto requests = random_requests(100'000, sets, 2048, 11);
    for (request& r : requests)
      r.options.max_hops = std::min(r.options.max_hops, 6u);
    expect_like_the_reference(g, requests);
  }
}

TEST(cuda_spread, sparse_hops_turn_dense_on_the_way) {
  const auto g = random_graph(100'000, 16, 12);
  for (std::uint32_t hops = 1; hops <= 7; ++hops)
    for (float threshold : {0.0f, 0.05f})
      expect_like_the_reference(g, {{{{77, 1.0f}}, {hops, 0.9f, threshold, 500}}});
}

TEST(cuda_spread, small_graph_without_edges) {
  const graph g(70, {});
  expect_like_the_reference(g, random_requests(70, 9, 100, 13));
}

TEST(cuda_spread, small_graph_without_nodes) {
  const graph g(0, {});
  for (std::uint32_t top : {0u, 5u}) {
    const std::vector<request> requests = {{{}, {3, 0.5f, 0.0f, top}}, {{}, {1, 0.5f, 0.0f, top}}};
    expect_like_the_reference(g, requests);
  }
}

TEST(cuda_spread, small_self_loops) {
  std::vector<edge> edges;
  for (node_id j = 0; j < 100; ++j) {
    edges.push_back({j, j, j % 3 == 0 ? -0.5f : 0.75f});
    edges.push_back({j, (j + 1) % 100, 0.125f});
  }
  expect_like_the_reference(graph(100, edges), random_requests(100, 12, 100, 14));
}

TEST(cuda_spread, small_inhibition_of_all_that_is_active) {
  std::vector<edge> edges;
  for (node_id j = 0; j < 200; ++j)
    for (node_id step : {1, 7, 30})
      edges.push_back({j, (j + step) % 200, -1.0f / static_cast<float>(step)});
  expect_like_the_reference(graph(200, edges), random_requests(200, 12, 200, 15));
}

TEST(cuda_spread, small_ties_go_by_node) {
  std::vector<edge> edges;
  for (node_id j = 0; j < 900; ++j)
    for (node_id step : {1, 2, 3, 50})
      edges.push_back({j, (j + step) % 900, 1.0f});
  const graph g(900, edges);
  for (std::uint32_t top : {1u, 100u, 0u}) {
    std::vector<request> requests;
    for (std::uint32_t i = 0; i < 5; ++i)
      requests.push_back({{{899 - i, 1.0f}, {17, 1.0f}}, {4 + 12 * i, 1.0f, 0.0f, top}});
    expect_like_the_reference(g, requests);
  }
}

TEST(cuda_spread, small_thresholds_stop_what_they_should) {
  const auto g = random_graph(500, 8, 16);
  std::vector<request> requests;
  random_engine random{17};
  for (float threshold : {0.0f, 1e-6f, 0.05f, 0.3f, 0.7f, 0.999f})
    requests.push_back({random_seeds(500, 20, random), {64, 0.8f, threshold, 500}});
  expect_like_the_reference(g, requests);
}

TEST(cuda_spread, small_every_set_takes_its_own_number_of_hops) {
  std::vector<edge> edges;
  for (node_id j = 0; j < 99; ++j)
    edges.push_back({j, (j + 1), 1.0f});
  const graph chain(100, edges);
  for (std::uint32_t first : {1u, 33u}) {
    std::vector<request> requests;
    for (std::uint32_t hops = first; hops < first + 32; ++hops)
      requests.push_back({{{hops, 1.0f}}, {hops, 1.0f, 0.0f, 100}});
    expect_like_the_reference(chain, requests);
  }
}

TEST(cuda_spread, small_sets_without_seeds_take_no_hop) {
  const auto g = random_graph(100, 5, 18);
  const auto got = spread_on_gpu(g, {{{}, {}}, {{{3, 1.0f}}, {}}, {{}, {}}});
  EXPECT_EQ(got[0].hops, 0u);
  EXPECT_TRUE(got[0].hits.empty());
  EXPECT_FALSE(got[1].hits.empty());
  EXPECT_TRUE(got[2].hits.empty());
}

TEST(cuda_spread, small_company_changes_nothing) {
  const auto g = graph_with_hubs(1100, 19);
  const auto requests = random_requests(1100, 32, 300, 20);
  const auto together = spread_on_gpu(g, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE("request " + std::to_string(i));
    expect_equal(spread_on_gpu(g, {requests[i]}), {together[i]});
  }
}

TEST(cuda_spread, calls_on_two_streams_do_not_meet) {
  const auto one = random_graph(20'000, 8, 21);
  const auto other = graph_with_hubs(9'000, 22);
  const auto one_asked = random_requests(20'000, 8, 100, 23);
  const auto other_asked = random_requests(9'000, 32, 0, 24);
  const auto one_expected = reference(one, one_asked);
  const auto other_expected = reference(other, other_asked);
  gpu_call one_call(one, one_asked);
  gpu_call other_call(other, other_asked);
  cudaStream_t streams[2];
  for (auto& stream : streams)
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 3; ++i) {
      one_call.enqueue(streams[0]);
      other_call.enqueue(streams[1]);
    }
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    expect_equal(one_call.answers(), one_expected);
    expect_equal(other_call.answers(), other_expected);
  }
  for (auto* stream : streams)
    cudaStreamDestroy(stream);
}

TEST(cuda_spread, small_captured_call_serves_other_requests) {
  const auto g = random_graph(2000, 6, 25);
  for (std::uint32_t top : {40u, 0u}) {
    gpu_call call(g, random_requests(2000, 6, top, 26));
    cudaStream_t stream = nullptr;
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    call.enqueue(stream);
    cudaGraph_t captured = nullptr;
    ASSERT_EQ(cudaStreamEndCapture(stream, &captured), cudaSuccess);
    cudaGraphExec_t runnable = nullptr;
    ASSERT_EQ(cudaGraphInstantiate(&runnable, captured, 0), cudaSuccess);
    for (unsigned number = 27; number < 31; ++number) {
      const auto requests = random_requests(2000, 6, top, number);
      call.set(requests);
      ASSERT_EQ(cudaGraphLaunch(runnable, stream), cudaSuccess);
      ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
      expect_equal(call.answers(), reference(g, requests));
    }
    cudaGraphExecDestroy(runnable);
    cudaGraphDestroy(captured);
    cudaStreamDestroy(stream);
  }
}

/// Host memory that the GPU writes to.
template <class T>
class mapped {
public:
  explicit mapped(std::size_t size) : size_(size) {
    EXPECT_EQ(cudaHostAlloc(&data_, size * sizeof(T), cudaHostAllocMapped), cudaSuccess);
  }
  ~mapped() { cudaFreeHost(data_); }
  mapped(const mapped&) = delete;
  mapped& operator=(const mapped&) = delete;

  T* on_gpu() const {
    void* out = nullptr;
    EXPECT_EQ(cudaHostGetDevicePointer(&out, data_, 0), cudaSuccess);
    return static_cast<T*>(out);
  }
  std::vector<T> values() const {
    const T* first = static_cast<const T*>(data_);
    return {first, first + size_};
  }

private:
  void* data_ = nullptr;
  std::size_t size_;
};

TEST(cuda_spread, small_answers_go_to_host_memory_too) {
  const auto g = random_graph(1500, 6, 31);
  for (std::uint32_t top : {60u, 0u}) {
    const auto requests = random_requests(1500, 5, top, 32);
    gpu_call call(g, requests);
    const mapped<hit> hits(5 * call.stride());
    const mapped<std::uint32_t> counts(5), hops(5);
    call.call().hits = hits.on_gpu();
    call.call().counts = counts.on_gpu();
    call.call().hops = hops.on_gpu();
    call.enqueue(nullptr);
    ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess);
    expect_equal(call.answers(hits.values(), counts.values(), hops.values()),
                 reference(g, requests));
  }
}

TEST(cuda_spread, small_numbers_of_sets_out_of_range_are_refused) {
  const auto g = random_graph(10, 1, 33);
  for (std::size_t sets : {0, 33})
    EXPECT_EQ(cuda::spread(g.device(), {.sets = sets, .top = 1}, nullptr, nullptr),
              cudaErrorInvalidValue);
}

} // namespace
} // namespace engram::test
