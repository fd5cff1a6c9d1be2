// A GPU that keeps failing and coming back, under steady load, for ten minutes of virtual time: it
// settles. Requests notice nothing.

#include "engram/devices/cpu_device.hpp"
#include "engram/devices/sim_device.hpp"
#include "engram/kernels/cosine.hpp"
#include "engram/tests/actors/virtual_actors.hpp"
#include "engram/tests/simulation/observed_device.hpp"
#include "engram/tests/simulation/simulated_host.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

namespace engram::simulation {
namespace {

using namespace std::chrono_literals;

constexpr sim_profile card{"card", "card", 1'000'000, 20e-6, 1e9, 1e9, 1e9, 1e9};
constexpr auto between_requests = 10ms;

class flapping : public ::testing::Test, public device_watcher {
protected:
  /// Starts the pipeline, with the GPU in child processes or not.
  void start(bool in_processes) {
    auto faults = std::make_unique<fault_points>(7);
    const auto engine = std::make_shared<const cpu_engine>(isa::scalar, 1);
    std::vector<std::unique_ptr<device>> devices;
    auto cpu = std::make_unique<observed_device>(
        make_cpu_device("cpu", isa::scalar, 1, *faults, *clock), 0, *this, *clock);
    cpu->set_pace({50e-6, 100e-9});
    devices.push_back(std::move(cpu));
    const sim_options gpu{"gpu0", &card, 2, 0.8};
    std::unique_ptr<device> made;
    if (in_processes) {
      auto in_children = std::make_unique<simulated_host>(
          host_setup{.gpu = gpu, .limits = host_limits_}, engine, clock, *faults, 11, nothing_told);
      host = in_children.get();
      made = std::move(in_children);
    } else {
      made = make_sim_device(gpu, engine, clock, *faults);
    }
    devices.push_back(std::make_unique<observed_device>(std::move(made), 1, *this, *clock));
    pipeline_options options;
    options.gpu.gpu_min_batch_size = 1;
    options.gpu.thresholds.gpu_speedup_threshold = 1.0;
    options.batching.max_wait_ms = 0;
    actors = std::make_unique<test::virtual_actors>(std::move(options), *clock, std::move(faults),
                                                    std::move(devices));
    actors->advance(1s);
  }

  /// Asks one request every 10 ms; each must be answered rightly before its deadline.
  void serve(duration how_long) {
    const auto until = clock->now() + how_long;
    while (clock->now() < until && !HasFailure()) {
      ask();
      actors->advance(between_requests);
      if (actors->core().workers[1]->breaker == breaker_state::open) open_for += between_requests;
      count_changes();
    }
    actors->advance(500ms);
    EXPECT_EQ(waiting, 0u);
  }

  void arm(const std::string& setting) { ASSERT_TRUE(actors->core().faults->arm(setting)); }
  breaker_state breaker() { return actors->core().workers[1]->breaker; }

  std::shared_ptr<test::manual_alarm_clock> clock = std::make_shared<test::manual_alarm_clock>();
  const story nothing_told{*clock, nullptr};
  host_limits host_limits_{
      .standby = true,
      .hang_timeout = 1s,
      .start_timeout = 20s,
      .crashes = {.intensity = 10, .period = 10s, .backoff = 10ms, .max_backoff = 2s}};
  std::size_t changes = 0;     ///< of the breaker
  std::size_t openings = 0;    ///< of the breaker
  std::size_t waiting = 0;     ///< requests that are not answered
  std::size_t gpu_batches = 0; ///< begun on the GPU
  std::size_t die_after = 0;   ///< the serving runner dies with every so many batches; 0: never
  duration open_for{};
  simulated_host* host = nullptr;
  std::unique_ptr<test::virtual_actors> actors;

private:
  void ask() {
    auto& core = actors->core();
    auto work = std::make_shared<work_payload>();
    work->op = operation::similarity;
    work->dim = 8;
    for (int i = 0; i < 8; ++i)
      work->queries.push_back(static_cast<float>((asked_ * 7 + static_cast<std::size_t>(i)) % 11) -
                              5);
    work->queries[0] += 20;
    for (int i = 0; i < 8 * 8; ++i)
      work->targets.push_back(static_cast<float>((asked_ + static_cast<std::size_t>(i) * 3) % 13));
    work->inverse_norms = {inverse_norm(work->queries)};
    ASSERT_EQ(core.gate.enter(), admission_gate::verdict::entered);
    ++waiting;
    core.inbox.push(std::make_shared<pending_request>(
        ++asked_, work, clock->now(), clock->now() + 400ms, 0, core.desk,
        [this, right = compute_reference(*whole_batch(work))[0]](const answer& got) {
          --waiting;
          EXPECT_TRUE(got.ok()) << got.failure.message;
          EXPECT_EQ(got.output, right);
        }));
  }

  void count_changes() {
    for (const auto& event : actors->core().events.after(last_event_)) {
      last_event_ = event.number;
      if (event.kind != "breaker") continue;
      ++changes;
      if (event.detail.find("-> open") != std::string::npos) ++openings;
    }
  }

  void on_begin(std::size_t device, const work_batch_ptr&) override {
    if (device == 0) return;
    ++gpu_batches;
    if (host && die_after > 0 && gpu_batches % die_after == 0)
      clock->call_at(clock->now() + 5us, // it is at work by then
                     [this] { host->end(simulated_host::victim::serving, "exit"); });
  }
  void on_end(std::size_t, const work_batch_ptr&, const run_outcome&) override {}

  std::size_t asked_ = 0;
  std::uint64_t last_event_ = 0;
};

TEST_F(flapping, a_gpu_that_fails_three_batches_of_ten_settles) {
  start(false);
  arm("gpu0.launch=30%return(transient)");
  serve(5min);
  open_for = {};
  serve(5min);
  // Cool-downs of 1, 2, 4, 8, 16 and 32 seconds make one minute, nine of 60 the others, each up to
  // a tenth shorter; between two openings it may be half open and closed.
  EXPECT_LE(openings, 18u);
  EXPECT_LE(changes, 3 * openings);
  EXPECT_GE(openings, 5u) << "it is still tried";
  EXPECT_GT(open_for, 295s) << "of the last five minutes";

  arm("gpu0.launch=off");
  serve(70s); // the longest cool-down, and the probes
  EXPECT_EQ(breaker(), breaker_state::closed);
  const auto before = openings;
  gpu_batches = 0;
  serve(1min);
  EXPECT_EQ(openings, before);
  EXPECT_GT(gpu_batches, 5'000u);
}

TEST_F(flapping, a_runner_that_dies_every_few_batches_settles) {
  start(true);
  die_after = 20;
  serve(5min);
  const auto deaths_at_first = host->deaths();
  open_for = {};
  serve(5min);
  // Ten deaths in ten seconds are a crash loop; then the breaker waits its longest, a minute.
  EXPECT_LE(deaths_at_first, 11u * 8);
  EXPECT_LE(host->deaths() - deaths_at_first, 11u * 6);
  EXPECT_LE(openings, host->deaths() + 10);
  EXPECT_GT(open_for, 280s) << "of the last five minutes";

  die_after = 0;
  serve(80s);
  EXPECT_EQ(breaker(), breaker_state::closed);
  const auto before = openings;
  gpu_batches = 0;
  serve(1min);
  EXPECT_EQ(openings, before);
  EXPECT_GT(gpu_batches, 5'000u);
}

} // namespace
} // namespace engram::simulation
