// The real GPU as a device: right answers, resident data, a budget, faults, and no growth.

#include "engram/devices/cpu_device.hpp"
#include "engram/devices/cuda_device.hpp"
#include "engram/devices/cuda_memory.hpp"
#include "engram/tests/devices/sample_work.hpp"

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace engram {
namespace {

using test::batch_of;
using test::random_batch;
using test::sample_work;

class cuda_device_with_data : public ::testing::Test {
protected:
  void open(cuda_options options = {}) {
    auto made = make_cuda_device(options, faults, clock);
    ASSERT_TRUE(made) << made.error().message;
    gpu = std::move(*made);
  }
  void SetUp() override { open(); }

  void publish(const dataset_ptr& data) {
    const auto published = gpu->publish(data);
    ASSERT_TRUE(published) << published.error().message;
  }
  std::future<run_outcome> start(const work_batch_ptr& batch) const {
    auto promise = std::make_shared<std::promise<run_outcome>>();
    auto future = promise->get_future();
    gpu->run(batch, [promise](run_outcome outcome) { promise->set_value(std::move(outcome)); });
    return future;
  }
  run_outcome run(const work_batch_ptr& batch) const { return start(batch).get(); }
  void expect_right(const work_batch_ptr& batch) const {
    const auto outcome = run(batch);
    ASSERT_FALSE(outcome.fault) << outcome.fault->message;
    EXPECT_EQ(outcome.outputs, engine.compute(*batch)) << to_string(batch->op);
    EXPECT_GT(outcome.times.device_seconds, 0.0);
  }

  fault_points faults;
  steady_clock_source clock;
  cpu_engine engine{supported_isas().back(), 0};
  std::unique_ptr<attached_device> gpu;
  sample_work sample{7};
};

TEST_F(cuda_device_with_data, small_batches_of_every_operation_equal_the_cpu) {
  for (int round = 0; round < 12; ++round) {
    const auto dim = sample.number(1, 70);
    const auto type =
        std::array{element_type::f32, element_type::f16, element_type::bf16}[round % 3];
    const auto rows = sample.collection(sample.number(1, 300), dim, type);
    const auto graph = sample.graph(sample.number(2, 200), 3);
    publish(rows);
    publish(graph);
    for (const auto op :
         {operation::search, operation::similarity, operation::score, operation::spread})
      expect_right(random_batch(sample, op, op == operation::spread ? graph : rows, dim, 6));
    gpu->retire(rows->key);
    gpu->retire(graph->key);
  }
}

TEST_F(cuda_device_with_data, batches_larger_than_a_lane_are_done_in_pieces) {
  const auto rows = sample.collection(20'000, 384, element_type::bf16);
  publish(rows);
  expect_right(batch_of(sample.search(rows, 700, 2048)));
  expect_right(batch_of(sample.similarity(768, 9'000)));
  expect_right(batch_of(sample.score(rows, 3'000'000)));
}

TEST_F(cuda_device_with_data, inputs_in_pinned_memory_are_read_where_they_are) {
  std::vector<std::byte> page_and_more((4u << 20) + 4096);
  void* start = page_and_more.data();
  std::size_t room = page_and_more.size();
  auto* memory = static_cast<std::byte*>(std::align(4096, 4u << 20, start, room));
  ASSERT_TRUE(gpu->pin({memory, 4u << 20}));
  auto* numbers = reinterpret_cast<float*>(memory);
  for (const std::size_t dim : {384, 390}) { // the rows of the second one have to be padded
    const auto rows = sample.collection(10'000, dim, element_type::bf16);
    publish(rows);
    for (const std::size_t count : {5, 64, 300})
      for (const bool search : {true, false})
        for (int again = 0; again < 8; ++again) { // other numbers at the same place, and graphs
          auto payload = std::make_shared<work_payload>(
              *(search ? sample.search(rows, count, 10) : sample.similarity(dim, count)));
          auto& own = search ? payload->queries : payload->targets;
          std::ranges::copy(own, numbers);
          (search ? payload->borrowed_queries : payload->borrowed_targets) = {numbers, own.size()};
          own.clear();
          expect_right(batch_of(payload));
        }
  }
  gpu.reset(); // before what it has pinned
}

TEST_F(cuda_device_with_data, ties_and_zero_vectors_that_a_filter_cannot_part_are_answered) {
  const auto rows = sample.collection(50'000, 3); // few directions, thousands of times each
  publish(rows);
  expect_right(batch_of(sample.search(rows, 40, 100)));
}

TEST_F(cuda_device_with_data, spreading_that_wants_all_nodes_gets_them) {
  const auto graph = sample.graph(30'000, 8);
  publish(graph);
  auto payload = std::make_shared<work_payload>(*sample.spread(graph, 40));
  for (const std::uint32_t top : {0u, 5'000u, 100u}) {
    payload->spread = {6, 0.9f, 0.0f, top};
    expect_right(batch_of(std::make_shared<const work_payload>(*payload)));
  }
}

TEST_F(cuda_device_with_data, four_streams_at_once_do_not_mix_their_data) {
  const auto rows = sample.collection(30'000, 96);
  const auto graph = sample.graph(5'000, 6);
  publish(rows);
  publish(graph);
  std::vector<work_batch_ptr> batches;
  for (int i = 0; i < 160; ++i) {
    const auto op = std::array{operation::search, operation::score, operation::spread,
                               operation::similarity}[i % 4];
    batches.push_back(random_batch(sample, op, op == operation::spread ? graph : rows, 96, 30));
  }
  std::vector<std::future<run_outcome>> futures;
  for (const auto& batch : batches)
    futures.push_back(start(batch));
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const auto outcome = futures[i].get();
    ASSERT_FALSE(outcome.fault) << outcome.fault->message;
    ASSERT_EQ(outcome.outputs, engine.compute(*batches[i])) << to_string(batches[i]->op);
  }
}

TEST_F(cuda_device_with_data, versions_are_published_and_retired_under_load) {
  std::atomic<bool> stop = false;
  std::atomic<std::size_t> answered = 0;
  const auto first = sample.collection(20'000, 64);
  publish(first);
  std::thread load([&] {
    sample_work own(8);
    while (!stop) {
      const auto batch = batch_of(own.search(first, own.number(1, 20), 10));
      const auto outcome = run(batch);
      EXPECT_FALSE(outcome.fault);
      EXPECT_EQ(outcome.outputs, engine.compute(*batch));
      ++answered;
    }
  });
  for (int version = 0; version < 10; ++version) {
    const auto next = sample.collection(20'000 + 10'000 * version, 64);
    publish(next);
    expect_right(batch_of(sample.search(next, 5, 10)));
    gpu->retire(next->key);
  }
  stop = true;
  load.join();
  EXPECT_GT(answered, 10u);
}

TEST_F(cuda_device_with_data, a_dataset_that_comes_back_is_not_read_from_where_it_was) {
  const auto first = sample.collection(3'000, 32);
  const auto other = sample.collection(3'000, 32);
  const auto batch = batch_of(sample.search(first, 3, 10));
  publish(first);
  for (int i = 0; i < 16; ++i) // every stream has a graph for this shape
    expect_right(batch);
  gpu->retire(first->key);
  publish(other);
  publish(first);
  for (int i = 0; i < 16; ++i)
    expect_right(batch);
}

TEST_F(cuda_device_with_data, vectors_of_very_different_lengths_are_searched_at_once) {
  const auto brief = sample.collection(2'000, 64);
  const auto lasting = sample.collection(2'000, 8192);
  publish(brief);
  publish(lasting);
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&, t] {
      sample_work own(static_cast<std::uint64_t>(20 + t));
      for (int i = 0; i < 60; ++i) {
        const auto batch = batch_of(own.search(t % 2 ? brief : lasting, own.number(1, 9), 5));
        const auto outcome = run(batch);
        ASSERT_FALSE(outcome.fault) << outcome.fault->message;
        ASSERT_EQ(outcome.outputs, engine.compute(*batch));
      }
    });
  for (auto& each : callers)
    each.join();
}

TEST_F(cuda_device_with_data, a_publication_gets_the_stream_that_a_reset_frees) {
  const auto rows = sample.collection(100, 8);
  publish(rows);
  const auto batch = batch_of(sample.search(rows, 2, 5));
  ASSERT_TRUE(faults.arm("gpu0.complete=1*hang"));
  const auto hung = start(batch);
  expect_right(batch); // so that the hung one has reached its end
  auto published = std::async(std::launch::async, [&] {
    return gpu->publish(sample_work(9).graph(50'000, 3)).has_value(); // larger: every stream grows
  });
  EXPECT_EQ(published.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  EXPECT_TRUE(gpu->reset());
  EXPECT_TRUE(published.get());
  expect_right(batch);
}

TEST_F(cuda_device_with_data, a_publication_does_not_wait_for_ever_for_a_hung_stream) {
  const auto rows = sample.collection(100, 8);
  publish(rows);
  const auto batch = batch_of(sample.search(rows, 2, 5));
  ASSERT_TRUE(faults.arm("gpu0.launch=1*hang"));
  const auto hung = start(batch);
  const auto graph = sample.graph(50'000, 3);
  const auto published = gpu->publish(graph);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, ec::unavailable);
  EXPECT_TRUE(gpu->reset());
  publish(graph);
  expect_right(batch_of(sample.spread(graph, 3)));
}

TEST_F(cuda_device_with_data, a_retired_dataset_gives_its_memory_back) {
  const auto rows = sample.collection(100'000, 64);
  publish(rows);
  const auto batch = batch_of(sample.search(rows, 1, 1));
  const auto used = gpu->budget().used_bytes;
  gpu->retire(rows->key);
  EXPECT_FALSE(gpu->is_resident(rows->key));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (gpu->budget().used_bytes + 25'000'000 > used && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_LE(gpu->budget().used_bytes + 25'000'000, used);
  EXPECT_EQ(run(batch).fault->kind, fault_class::transient) << "it is not there any more";
}

TEST_F(cuda_device_with_data, a_dataset_that_does_not_fit_is_refused_with_what_is_missing) {
  gpu.reset();
  std::size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  open({.vram_safety_margin = 200e6 / static_cast<double>(total)});
  const auto before = gpu->budget().used_bytes;
  const auto large = sample.collection(100'000, 512);
  const auto published = gpu->publish(large);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code, ec::resource_exhausted);
  EXPECT_NE(published.error().message.find("are missing"), std::string::npos)
      << published.error().message;
  EXPECT_FALSE(gpu->is_resident(large->key));
  EXPECT_EQ(gpu->budget().used_bytes, before);
  const auto small = sample.collection(1'000, 64);
  publish(small);
  expect_right(batch_of(sample.search(small, 3, 10)));
}

TEST_F(cuda_device_with_data, injected_faults_are_reported_as_their_class) {
  const auto rows = sample.collection(100, 8);
  publish(rows);
  const auto batch = batch_of(sample.search(rows, 2, 5));
  for (const auto site : {"alloc", "launch", "complete"})
    for (const auto kind : {fault_class::oom, fault_class::transient}) {
      ASSERT_TRUE(faults.arm("gpu0." + std::string(site) + "=1*return(" +
                             std::string(to_string(kind)) + ")"));
      const auto outcome = run(batch);
      ASSERT_TRUE(outcome.fault) << site;
      EXPECT_EQ(outcome.fault->kind, kind);
      expect_right(batch);
    }
  ASSERT_TRUE(faults.arm("gpu0.result=1*corrupt"));
  EXPECT_NE(run(batch).outputs, engine.compute(*batch));
  ASSERT_TRUE(faults.arm("gpu0.launch=1*return(sticky)"));
  EXPECT_EQ(run(batch).fault->kind, fault_class::sticky);
  EXPECT_EQ(run(batch).fault->kind, fault_class::sticky) << "until it is reset";
  EXPECT_TRUE(gpu->reset());
  expect_right(batch);
}

TEST_F(cuda_device_with_data, delays_and_hangs_hold_only_their_batch) {
  const auto rows = sample.collection(100, 8);
  publish(rows);
  const auto batch = batch_of(sample.search(rows, 2, 5));
  for (const auto site : {"alloc", "launch", "complete"}) {
    ASSERT_TRUE(faults.arm("gpu0." + std::string(site) + "=1*delay(20)"));
    const auto started = clock.now();
    auto slow = start(batch);
    expect_right(batch);
    EXPECT_FALSE(slow.get().fault);
    EXPECT_GE(clock.now() - started, std::chrono::milliseconds(20)) << site;
  }
  ASSERT_TRUE(faults.arm("gpu0.launch=1*hang"));
  auto hung = start(batch);
  expect_right(batch);
  EXPECT_EQ(hung.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  EXPECT_TRUE(gpu->reset());
}

TEST_F(cuda_device_with_data, ten_thousand_batches_grow_neither_device_nor_pinned_memory) {
  const auto rows = sample.collection(5'000, 96);
  const auto graph = sample.graph(2'000, 6);
  publish(rows);
  publish(graph);
  const auto some = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const auto op = std::array{operation::search, operation::score, operation::spread,
                                 operation::similarity}[i % 4];
      const auto outcome =
          run(batch_of(sample.payload(op, op == operation::spread ? graph : rows, 96,
                                      static_cast<std::size_t>(1 + i / 4 % 8))));
      ASSERT_FALSE(outcome.fault) << outcome.fault->message;
    }
  };
  some(2'000); // kernels are loaded, graphs captured
  std::size_t free_before = 0, free_after = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free_before, &total), cudaSuccess);
  const auto budget_before = gpu->budget().used_bytes;
  const auto pinned_before = pinned_memory::allocations();
  some(10'000);
  ASSERT_EQ(cudaMemGetInfo(&free_after, &total), cudaSuccess);
  EXPECT_GE(free_after, free_before);
  EXPECT_EQ(gpu->budget().used_bytes, budget_before);
  EXPECT_EQ(pinned_memory::allocations(), pinned_before);
}

TEST(cuda_device, that_is_not_there_says_so) {
  fault_points faults;
  const steady_clock_source clock;
  const auto made = make_cuda_device({.ordinal = 99}, faults, clock);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ec::unavailable);
  EXPECT_NE(made.error().message.find("99"), std::string::npos);
}

} // namespace
} // namespace engram
