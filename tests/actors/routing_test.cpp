// Where batches go and why, seen from outside.

#include "engram/tests/actors/virtual_pipeline.hpp"

namespace {

using namespace engram;
using namespace engram::test;

route_reason reason_of(virtual_pipeline& pipe, const dataset_ptr& data, std::size_t queries = 1) {
  const auto r = pipe.submit(pipe.search(data, queries));
  pipe.run();
  EXPECT_TRUE(pipe.is_right(r));
  return pipe.only_answer(r).trace.reason;
}

/// Teaches the cost model what a batch of one query costs on both devices, in seconds.
void teach(virtual_pipeline& pipe, const dataset_ptr& data, double cpu, double gpu) {
  const auto work = whole_batch(pipe.search(data))->work();
  pipe.core().costs.add({operation::search, 0, data->key}, work, cpu);
  pipe.core().costs.add({operation::search, 1, data->key}, work, gpu);
}

TEST(routing, forced_cpu) {
  auto options = eager_gpu();
  options.gpu.force_cpu_mode = true;
  virtual_pipeline pipe{options};
  EXPECT_EQ(reason_of(pipe, pipe.publish()), route_reason::forced_cpu);
}

TEST(routing, no_gpu) {
  virtual_pipeline pipe{eager_gpu(), 0};
  EXPECT_EQ(reason_of(pipe, pipe.publish()), route_reason::no_gpu);
}

TEST(routing, not_resident) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().retire(data->key);
  EXPECT_EQ(reason_of(pipe, data), route_reason::not_resident);
}

TEST(routing, gpu_disabled) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().script = {{.what = scripted_device::act::kind::fail, .fault = fault_class::sticky}};
  EXPECT_EQ(reason_of(pipe, data), route_reason::gpu);
  EXPECT_EQ(reason_of(pipe, data), route_reason::gpu_disabled);
}

TEST(routing, below_min_batch) {
  auto options = eager_gpu();
  options.gpu.gpu_min_batch_size = 4;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  EXPECT_EQ(reason_of(pipe, data, 3), route_reason::below_min_batch);
  EXPECT_EQ(reason_of(pipe, data, 4), route_reason::gpu);
}

TEST(routing, below_speedup) {
  auto options = eager_gpu();
  options.gpu.thresholds.gpu_speedup_threshold = 3;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  teach(pipe, data, 20e-6, 10e-6);
  EXPECT_EQ(reason_of(pipe, data), route_reason::below_speedup);
}

TEST(routing, vram_budget) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  pipe.gpu().workspace = pipe.gpu().budget_bytes + 1;
  EXPECT_EQ(reason_of(pipe, data), route_reason::vram_budget);
}

TEST(routing, gpu_busy) {
  auto options = eager_gpu();
  options.gpu.streams = 1;
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  teach(pipe, data, 20e-3, 15e-3);
  pipe.gpu().latency = 15ms;
  pipe.cpu().latency = 20ms;
  std::vector<std::size_t> asked;
  for (int i = 0; i < 2; ++i) {
    asked.push_back(pipe.submit(pipe.search(data)));
    pipe.run();
  }
  pipe.advance(100ms);
  EXPECT_EQ(pipe.only_answer(asked[0]).trace.reason, route_reason::gpu);
  EXPECT_EQ(pipe.only_answer(asked[1]).trace.reason, route_reason::gpu_busy)
      << "15 + 15 ms there, 20 ms here";
}

TEST(routing, of_two_gpus_the_free_one_is_taken) {
  auto options = eager_gpu();
  virtual_pipeline pipe{options, 2};
  const auto data = pipe.publish();
  for (int i = 0; i < 2; ++i)
    pipe.gpu(std::size_t(i)).latency = 1ms;
  for (std::size_t d = 1; d <= 2; ++d)
    pipe.core().costs.add({operation::search, d, data->key}, 50.0 * 8, 1e-3);
  const auto a = pipe.submit(pipe.search(data));
  pipe.run();
  const auto b = pipe.submit(pipe.search(data));
  pipe.advance(10ms);
  EXPECT_EQ(pipe.only_answer(a).trace.device, "gpu0");
  EXPECT_EQ(pipe.only_answer(b).trace.device, "gpu1");
}

TEST(routing, a_reload_is_followed_by_the_next_batch) {
  auto options = eager_gpu();
  virtual_pipeline pipe{options};
  const auto data = pipe.publish();
  EXPECT_EQ(reason_of(pipe, data), route_reason::gpu);
  options.gpu.force_cpu_mode = true;
  pipe.core().set_options(options);
  EXPECT_EQ(reason_of(pipe, data), route_reason::forced_cpu);
}

TEST(routing, costs_are_learnt_from_each_device_s_own_runs) {
  virtual_pipeline pipe{eager_gpu()};
  const auto data = pipe.publish();
  reason_of(pipe, data, 2);
  EXPECT_TRUE(pipe.core().costs.predict({operation::search, 1, data->key}, 800.0));
  EXPECT_FALSE(pipe.core().costs.predict({operation::search, 0, data->key}, 800.0));
}

} // namespace
