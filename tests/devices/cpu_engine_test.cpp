#include "engram/devices/cpu_device.hpp"
#include "engram/tests/devices/sample_work.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace engram {
namespace {

using test::batch_of;
using test::random_batch;
using test::sample_work;

struct engine_case {
  isa level;
  std::uint32_t threads;
};

class cpu_engine_on : public ::testing::TestWithParam<engine_case> {
protected:
  cpu_engine engine{GetParam().level, GetParam().threads};
};

std::vector<engine_case> all_cases() {
  std::vector<engine_case> cases;
  for (const auto level : supported_isas())
    for (const std::uint32_t threads : {1U, 4U, 0U})
      cases.push_back({level, threads});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(levels, cpu_engine_on, ::testing::ValuesIn(all_cases()),
                         [](const auto& p) {
                           return std::string(to_string(p.param.level)) + "_" +
                                  std::to_string(p.param.threads) + "_threads";
                         });

TEST_P(cpu_engine_on, tiny_batches_equals_the_reference) {
  sample_work sample(1);
  for (int round = 0; round < 20; ++round) {
    const auto dim = sample.number(1, 70);
    const auto vectors = sample.collection(sample.number(1, 60), dim);
    const auto graph = sample.graph(sample.number(2, 60), 3);
    for (const auto op :
         {operation::search, operation::similarity, operation::score, operation::spread}) {
      const auto batch =
          random_batch(sample, op, op == operation::spread ? graph : vectors, dim, 6);
      EXPECT_EQ(engine.compute(*batch), compute_reference(*batch)) << to_string(op);
    }
  }
}

TEST_P(cpu_engine_on, searches_large_enough_for_several_threads_equal_the_reference) {
  sample_work sample(2);
  for (const auto type : {element_type::f32, element_type::f16, element_type::bf16}) {
    const auto data = sample.collection(3'000, 33, type);
    for (const std::size_t most : {1, 8, 40}) {
      const auto batch = random_batch(sample, operation::search, data, 33, most);
      EXPECT_EQ(engine.compute(*batch), compute_reference(*batch)) << most;
    }
  }
}

TEST_P(cpu_engine_on, a_search_for_more_than_there_is_returns_everything) {
  sample_work sample(3);
  const auto data = sample.collection(1'500, 64);
  // 50 queries with 1,500 hits each are also enough to be merged in parallel.
  const auto batch = batch_of(sample.search(data, 50, 2048));
  const auto outputs = engine.compute(*batch);
  EXPECT_EQ(outputs, compute_reference(*batch));
  EXPECT_EQ(outputs[0].counts, std::vector<std::uint32_t>(50, 1'500));
}

TEST_P(cpu_engine_on, long_lists_of_targets_and_ids_equal_the_reference) {
  sample_work sample(4);
  const auto data = sample.collection(400, 96);
  for (const auto op : {operation::similarity, operation::score}) {
    const auto batch = random_batch(sample, op, data, 96, 9'000);
    EXPECT_EQ(engine.compute(*batch), compute_reference(*batch)) << to_string(op);
  }
}

TEST_P(cpu_engine_on, many_seed_sets_equal_the_reference) {
  sample_work sample(5);
  const auto data = sample.graph(4'000, 6);
  const auto batch = random_batch(sample, operation::spread, data, 0, 40);
  EXPECT_EQ(engine.compute(*batch), compute_reference(*batch));
}

TEST_P(cpu_engine_on, gives_the_same_answer_alone_and_in_company) {
  sample_work sample(6);
  const auto data = sample.collection(2'000, 64);
  const auto alone = sample.search(data, 1, 7);
  const auto company = sample.search(data, 30, 12);
  const auto together = engine.compute(*batch_of({{company, 0, 30}, {alone, 0, 1}}));
  EXPECT_EQ(engine.compute(*batch_of(alone))[0], together[1]);
}

TEST_P(cpu_engine_on, computes_for_several_callers_at_once) {
  constexpr int callers = 6; // more than can work in the arena at the same time
  sample_work sample(7);
  const auto vectors = sample.collection(2'500, 40);
  const auto graph = sample.graph(2'000, 5);
  std::vector<work_batch_ptr> batches;
  for (int i = 0; i < callers; ++i)
    batches.push_back(i % 2 ? random_batch(sample, operation::spread, graph, 0, 60)
                            : random_batch(sample, operation::search, vectors, 40, 30));
  std::vector<std::jthread> threads;
  for (int i = 0; i < callers; ++i)
    threads.emplace_back([&, batch = batches[static_cast<std::size_t>(i)]] {
      const auto expected = compute_reference(*batch);
      for (int round = 0; round < 10; ++round)
        EXPECT_EQ(engine.compute(*batch), expected);
    });
}

TEST(cpu_engine, gives_nothing_for_a_batch_without_items) {
  const cpu_engine engine(isa::scalar, 1);
  EXPECT_TRUE(engine.compute(work_batch{}).empty());
}

} // namespace
} // namespace engram
