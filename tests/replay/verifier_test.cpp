#include "engram/devices/cpu_device.hpp"
#include "engram/replay/synthetic.hpp"
#include "engram/replay/verifier.hpp"

#include <gtest/gtest.h>

namespace {

using namespace engram;
using namespace engram::replay;
using namespace std::chrono_literals;

scenario all_operations() {
  scenario what;
  what.seed = 3;
  what.datasets.push_back({"v", synthetic_dataset::form::vectors, 50, 8, 0, 0, 1});
  what.datasets.push_back({"g", synthetic_dataset::form::graph, 0, 0, 40, 3, 1});
  for (const auto op :
       {operation::search, operation::similarity, operation::score, operation::spread}) {
    load_spec load;
    load.name = to_string(op);
    load.op = op;
    load.dataset = op == operation::spread ? "g" : op == operation::similarity ? "" : "v";
    load.dim = 8;
    load.queries = load.targets = load.ids = load.seed_sets = load.seeds = {1, 4};
    load.distinct = 20;
    what.loads.push_back(load);
  }
  return what;
}

dataset_ptr published(const scenario& what, std::string_view name) {
  for (const auto& each : what.datasets)
    if (each.name == name) {
      auto made = make_dataset(each);
      EXPECT_TRUE(made);
      return std::make_shared<dataset>(dataset{each.name, 1, std::move(*made), 1});
    }
  return nullptr;
}

request_pool pool_of(const scenario& what) {
  auto pool =
      request_pool::make(what, [&](std::string_view name) { return published(what, name); });
  EXPECT_TRUE(pool) << pool.error().message;
  return std::move(*pool);
}

item_output right_answer(const request_pool& pool, std::uint32_t load, std::uint32_t variant) {
  return compute_reference(batch_of(pool.at(load, variant), pool.data_of(load))).front();
}

TEST(request_pool, makes_the_same_requests_from_the_same_seed) {
  const auto what = all_operations();
  auto other_seed = what;
  other_seed.seed = 4;
  const auto first = pool_of(what), again = pool_of(what), other = pool_of(other_seed);
  const auto queries = [](const request_pool& pool, std::uint32_t variant) {
    return std::get<search_request>(pool.at(0, variant)).queries;
  };
  const auto seeds = [](const request_pool& pool, std::uint32_t variant) {
    return std::get<spread_request>(pool.at(3, variant)).seed_sets;
  };
  for (std::uint32_t variant = 0; variant < 20; ++variant) {
    EXPECT_EQ(queries(first, variant), queries(again, variant));
    EXPECT_EQ(seeds(first, variant), seeds(again, variant));
  }
  EXPECT_NE(queries(first, 0), queries(other, 0));
  EXPECT_NE(queries(first, 0), queries(first, 1));
}

TEST(request_pool, sends_counts_from_the_whole_range) {
  const auto pool = pool_of(all_operations());
  std::vector<int> seen(5);
  for (std::uint32_t variant = 0; variant < 20; ++variant)
    ++seen.at(std::get<score_request>(pool.at(2, variant)).ids.size());
  EXPECT_EQ(seen[0], 0);
  for (std::size_t count = 1; count <= 4; ++count)
    EXPECT_GT(seen[count], 0) << count;
}

TEST(request_pool, refuses_to_take_more_memory_than_it_may) {
  auto what = all_operations();
  what.loads[1].targets = {1, 65'536};
  what.loads[1].dim = 8192;
  const auto pool =
      request_pool::make(what, [&](std::string_view name) { return published(what, name); });
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ec::resource_exhausted);
}

TEST(verifier, finds_every_right_answer_right_and_each_change_wrong) {
  const auto pool = pool_of(all_operations());
  verifier checker{pool};
  std::uint64_t number = 0, wrong = 0;
  for (std::uint32_t load = 0; load < 4; ++load)
    for (std::uint32_t variant = 0; variant < 10; ++variant) {
      auto output = right_answer(pool, load, variant);
      checker.check(number++, load, variant, "cpu", output);
      if (!output.hits.empty())
        output.hits.back().id ^= 1;
      else
        output.scores.back() = -output.scores.back() + 1e-6f;
      checker.check(number++, load, variant, "cpu", output);
      ++wrong;
    }
  const auto found = checker.finish(10s);
  EXPECT_EQ(found.checked, number);
  EXPECT_EQ(found.wrong, wrong);
  EXPECT_EQ(found.skipped, 0u);
  EXPECT_EQ(found.examples.size(), 5u);
}

TEST(verifier, says_what_differs) {
  item_output expected;
  expected.hits = {{4, 0.5f}, {2, 0.25f}};
  expected.counts = {2};
  auto got = expected;
  EXPECT_EQ(difference(operation::search, got, expected), std::nullopt);
  got.hits[1].id = 3;
  EXPECT_EQ(difference(operation::search, got, expected), "hit 1 is 3 (0.25) instead of 2 (0.25)");
  got.hits.pop_back();
  EXPECT_EQ(difference(operation::search, got, expected), "1 hits instead of 2");
  got = expected;
  got.hops = {3};
  EXPECT_EQ(difference(operation::spread, got, expected),
            "the hops or counts of a seed set differ");
}

TEST(verifier, gives_up_at_its_limit_and_counts_what_is_left) {
  scenario slow;
  slow.datasets.push_back({"v", synthetic_dataset::form::vectors, 20'000, 256, 0, 0, 1});
  load_spec load;
  load.op = operation::search;
  load.dataset = "v";
  load.queries = {8, 8};
  load.distinct = 200;
  slow.loads.push_back(load);
  const auto pool = pool_of(slow);
  verifier checker{pool};
  for (std::uint32_t variant = 0; variant < 200; ++variant)
    checker.check(variant, 0, variant, "cpu", {});
  const auto found = checker.finish(1ms);
  EXPECT_GT(found.skipped, 0u);
  EXPECT_EQ(found.checked + found.skipped, 200u);
}

} // namespace
