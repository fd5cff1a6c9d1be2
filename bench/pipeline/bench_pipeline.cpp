// What the actors cost: tiny requests (three scores of eight numbers) through the whole pipeline.
//
//   flood      as many as it carries, with a bounded number in flight
//   open loop  Poisson arrivals at a rate, latency from the time a request was due
//
//   bench_pipeline [--rate N] [--requests N] [--rounds N] [--pin 0|1]

#include "engram/base/latency_histogram.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace engram;

constexpr std::size_t dim = 8;

struct settings {
  double rate = 100'000; ///< open loop, requests a second
  std::size_t requests = 500'000;
  int rounds = 5;
  bool pin = true;
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) * 1e-6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::unique_ptr<pipeline> start(const settings& s) {
  pipeline_options options;
  options.gpu.enabled = false;
  options.batching.max_wait_ms = 0;
  options.runtime.pin_threads = s.pin;
  auto started = pipeline::start(options);
  if (!started) {
    std::fprintf(stderr, "bench_pipeline: %s\n", started.error().message.c_str());
    std::exit(3);
  }
  std::vector<float> rows(100 * dim);
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i] = static_cast<float>((i * 7919) % 97) - 48.0f;
  if (!(*started)->publish("tiny", *vector_collection::make({rows.data(), 100, dim}))) std::exit(3);
  return std::move(*started);
}

score_request tiny() {
  return {"tiny", {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3}, {}};
}

void wait_for(const std::atomic<std::size_t>& answered, std::size_t wanted) {
  while (answered.load() < wanted)
    std::this_thread::sleep_for(std::chrono::microseconds{100});
}

/// Returns requests a second.
double flood(pipeline& pipe, const settings& s) {
  constexpr std::size_t most_in_flight = 16'384;
  std::atomic<std::size_t> answered{0}, failed{0};
  const auto begin = clock_type::now();
  const auto cpu = cpu_seconds();
  for (std::size_t sent = 0; sent < s.requests; ++sent) {
    while (sent - answered.load(std::memory_order_relaxed) >= most_in_flight)
      std::this_thread::yield();
    pipe.submit(tiny(), [&](const answer& a) {
      if (!a.ok()) failed.fetch_add(1);
      answered.fetch_add(1);
    });
  }
  wait_for(answered, s.requests);
  const auto seconds = to_seconds(clock_type::now() - begin);
  std::printf("  flood      %8.0f requests/s   %5.2f us CPU a request   failed %zu\n",
              double(s.requests) / seconds, (cpu_seconds() - cpu) / double(s.requests) * 1e6,
              failed.load());
  return double(s.requests) / seconds;
}

void open_loop(pipeline& pipe, const settings& s, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::exponential_distribution<double> gap{s.rate};
  std::vector<std::uint32_t> latency(s.requests); // nanoseconds, by request
  std::atomic<std::size_t> answered{0}, failed{0};
  const auto batches = pipe.counts().batches;
  const auto begin = clock_type::now();
  const auto cpu = cpu_seconds();
  double due_seconds = 0;
  std::size_t late = 0;
  for (std::size_t i = 0; i < s.requests; ++i) {
    due_seconds += gap(random);
    const auto due = begin + from_seconds(due_seconds);
    auto now = clock_type::now();
    late += now - due > std::chrono::milliseconds{1};
    while (now < due)
      now = clock_type::now();
    pipe.submit(tiny(), [&, i, due](const answer& a) {
      if (!a.ok()) failed.fetch_add(1);
      latency[i] = static_cast<std::uint32_t>((clock_type::now() - due).count());
      answered.fetch_add(1);
    });
  }
  wait_for(answered, s.requests);
  const auto seconds = to_seconds(clock_type::now() - begin);
  latency_histogram all;
  for (const auto each : latency)
    all.record(each);
  std::printf("  open loop  %8.0f requests/s   p50 %6.1f  p90 %6.1f  p99 %7.1f  p99.9 %8.1f  max "
              "%8.1f us   "
              "%5.2f us CPU a request, sender included   sent > 1 ms late %zu   requests a batch "
              "%.1f   failed %zu\n",
              double(s.requests) / seconds, double(all.quantile(0.5)) / 1e3,
              double(all.quantile(0.9)) / 1e3, double(all.quantile(0.99)) / 1e3,
              double(all.quantile(0.999)) / 1e3, double(all.max()) / 1e3,
              (cpu_seconds() - cpu) / double(s.requests) * 1e6, late,
              double(s.requests) /
                  double(std::max<std::uint64_t>(pipe.counts().batches - batches, 1)),
              failed.load());
}

settings parse(int argc, char** argv) {
  settings s;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    if (name == "--rate")
      s.rate = std::atof(argv[i + 1]);
    else if (name == "--requests")
      s.requests = std::strtoull(argv[i + 1], nullptr, 10);
    else if (name == "--rounds")
      s.rounds = std::atoi(argv[i + 1]);
    else if (name == "--pin")
      s.pin = std::atoi(argv[i + 1]) != 0;
    else {
      std::fprintf(stderr, "bench_pipeline: unknown option %s\n", argv[i]);
      std::exit(2);
    }
  }
  return s;
}

} // namespace

int main(int argc, char** argv) {
  const auto s = parse(argc, argv);
  if (s.pin) { // the sender has the first core, the actors the last
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    sched_setaffinity(0, sizeof(set), &set);
  }
  for (int round = 1; round <= s.rounds; ++round) {
    std::printf("round %d, %s\n", round, s.pin ? "pinned" : "not pinned");
    const auto pipe = start(s);
    flood(*pipe, s);
    open_loop(*pipe, s, static_cast<std::uint64_t>(round));
    if (pipe->counts().lost != 0)
      std::printf("  LOST %llu\n", static_cast<unsigned long long>(pipe->counts().lost));
  }
}
