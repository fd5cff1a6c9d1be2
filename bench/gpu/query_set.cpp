#include "engram/bench/gpu/query_set.hpp"

#include "engram/devices/cpu_device.hpp"
#include "engram/replay/verifier.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace engram::bench {

namespace {

// As long as what a replay remembers of its requests allows; whoever runs it stops it before.
constexpr double longest_load_requests = replay::max_planned_requests;

} // namespace

result<query_set> query_set::make(const dataset_ptr& data, std::uint32_t distinct, std::uint32_t k,
                                  std::uint64_t seed) {
  replay::load_spec load;
  load.name = "search";
  load.op = operation::search;
  load.dataset = data->name;
  load.rate = 1;
  load.k = k;
  load.distinct = distinct;
  replay::scenario what;
  what.name = "steady load";
  what.seed = seed;
  what.verify_share = 1;
  what.loads.push_back(std::move(load));
  auto pool = replay::request_pool::make(what, [&](std::string_view) { return data; });
  if (!pool) return pool.error();

  query_set made{std::move(what), std::move(*pool)};
  made.expected_.resize(distinct);
  std::atomic<std::uint32_t> next{0};
  const auto work = [&] {
    for (auto v = next.fetch_add(1); v < distinct; v = next.fetch_add(1))
      made.expected_[v] =
          std::move(compute_reference(replay::batch_of(made.pool_.at(0, v), data)).front());
  };
  {
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < std::thread::hardware_concurrency(); ++i)
      others.emplace_back(work);
    work();
  }
  return made;
}

replay::scenario query_set::steady(double rate) const {
  auto what = what_;
  what.loads.front().rate = rate;
  what.measured = from_seconds(longest_load_requests / rate);
  return what;
}

} // namespace engram::bench
