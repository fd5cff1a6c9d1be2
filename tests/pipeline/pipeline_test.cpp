// The public API on real threads and clocks: what a program that embeds Engram relies on.

#include "engram/pipeline/pipeline.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <coroutine>
#include <filesystem>
#include <iterator>
#include <mutex>
#include <numeric>
#include <set>
#include <thread>

namespace {

using namespace engram;
using namespace std::chrono_literals;

collection_ptr some_vectors(std::size_t rows = 64, std::size_t dim = 16, int salt = 0) {
  std::vector<float> numbers(rows * dim);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = static_cast<float>((i * 7919 + std::size_t(salt) * 31) % 97) - 48.0f;
  auto made = vector_collection::make({numbers.data(), rows, dim});
  EXPECT_TRUE(made);
  return *made;
}

std::unique_ptr<pipeline> start(pipeline_options options = {}) {
  auto started = pipeline::start(std::move(options));
  EXPECT_TRUE(started) << (started ? "" : started.error().message);
  return std::move(*started);
}

pipeline_options simulated() {
  pipeline_options options;
  options.gpu.devices = {"sim:h100"};
  options.gpu.gpu_min_batch_size = 1;
  options.gpu.thresholds.gpu_speedup_threshold = 1;
  options.routing.shadow_share = 0.5;          // these batches are so small that the CPU is faster
  options.routing.time_limit_floor_ms = 5'000; // a loaded test machine is no hang
  return options;
}

search_request nearest_to(const collection_ptr& collection, std::size_t row, std::uint32_t k = 1) {
  return {"vectors", collection->row(row), k, {.deadline = 30s, .priority = 0, .tenant = {}}};
}

TEST(pipeline, answers_by_future_callback_and_coroutine) {
  const auto pipe = start();
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  EXPECT_EQ(pipe->submit(nearest_to(rows, 5)).get().output.hits.at(0).id, 5u);

  std::promise<answer> called;
  pipe->submit(nearest_to(rows, 6), [&](answer a) { called.set_value(std::move(a)); });
  EXPECT_EQ(called.get_future().get().output.hits.at(0).id, 6u);

  struct task {
    struct promise_type {
      task get_return_object() { return {}; }
      std::suspend_never initial_suspend() noexcept { return {}; }
      std::suspend_never final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
  };
  std::promise<answer> awaited;
  [](pipeline& p, search_request what, std::promise<answer>& out) -> task {
    out.set_value(co_await p.ask(std::move(what)));
  }(*pipe, nearest_to(rows, 7), awaited);
  EXPECT_EQ(awaited.get_future().get().output.hits.at(0).id, 7u);
}

TEST(pipeline, every_operation_is_answered_on_cpu_and_gpu_with_the_same_bits) {
  auto with_gpu = start(simulated());
  auto without = start();
  const auto rows = some_vectors();
  const auto graph =
      *activation_graph::make(4, {{0, 1, 0.9f}, {1, 2, 0.8f}, {2, 3, -0.7f}, {0, 3, 0.6f}});
  for (auto* pipe : {with_gpu.get(), without.get()}) {
    ASSERT_TRUE(pipe->publish("vectors", rows));
    ASSERT_TRUE(pipe->publish("graph", graph));
  }
  const std::vector<request> asked{
      search_request{"vectors", rows->row(3), 5, {}},
      similarity_request{rows->row(1), rows->row(2), {}},
      score_request{"vectors", rows->row(4), {9, 4, 9}, {}},
      spread_request{"graph", {{{0, 1.0f}}, {{2, 0.5f}}}, {}, {}},
  };
  for (const auto& what : asked) {
    const auto a = with_gpu->submit(what).get();
    const auto b = without->submit(what).get();
    ASSERT_TRUE(a.ok()) << a.failure.message;
    ASSERT_TRUE(b.ok()) << b.failure.message;
    EXPECT_EQ(a.output, b.output);
    EXPECT_EQ(b.trace.device, "cpu");
  }
}

TEST(pipeline, a_lost_gpu_is_no_error_to_the_caller) {
  const auto pipe = start(simulated());
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("gpu0.launch=return(sticky)"));
  for (std::size_t r = 0; pipe->health().devices.at(1).available; ++r)
    ASSERT_TRUE(pipe->submit(nearest_to(rows, r % 64)).get().ok());
  pipe->disarm_faults();
  const auto until = clock_type::now() + 20s;
  while (!pipe->health().devices.at(1).available && clock_type::now() < until)
    std::this_thread::sleep_for(10ms);
  EXPECT_TRUE(pipe->health().devices.at(1).available) << "it proves itself and comes back";
  EXPECT_EQ(pipe->counts().lost, 0u);
}

TEST(pipeline, a_publication_that_fails_changes_nothing) {
  const auto pipe = start(simulated());
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("dataset.publish=2*return"));
  for (const char* name : {"vectors", "others"}) {
    const auto refused = pipe->publish(name, some_vectors(64, 16, 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::unavailable);
    EXPECT_NE(refused.error().message.find("dataset.publish"), std::string::npos);
  }
  ASSERT_EQ(pipe->datasets().size(), 1u);
  EXPECT_EQ(pipe->find("vectors")->version, 1u);
  EXPECT_EQ(pipe->health().devices.at(1).resident.size(), 1u);
  EXPECT_EQ(pipe->submit(nearest_to(rows, 5)).get().output.hits.at(0).id, 5u);
  EXPECT_EQ((*pipe->publish("vectors", some_vectors(64, 16, 1)))->version, 2u);
}

TEST(pipeline, a_publication_that_is_held_up_is_late_and_requests_are_not) {
  const auto pipe = start();
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("dataset.publish=1*delay(300)"));
  const auto start_time = clock_type::now();
  std::atomic<bool> is_published{false};
  std::jthread publisher{[&] {
    EXPECT_TRUE(pipe->publish("vectors", some_vectors(64, 16, 1)));
    EXPECT_GE(clock_type::now() - start_time, 300ms);
    is_published = true;
  }};
  while (!is_published)
    ASSERT_TRUE(pipe->submit(nearest_to(rows, 5)).get().ok());
  publisher.join();
  EXPECT_EQ(pipe->find("vectors")->version, 2u);
}

TEST(pipeline, faults_are_armed_all_or_none) {
  const auto pipe = start();
  const auto armed = [&] {
    std::string out;
    for (const auto& site : pipe->faults())
      if (site.setting != "off") out += site.name + '=' + site.setting + ' ';
    return out;
  };
  const std::vector<std::string> bad{"cpu.launch=0%hang", "cpu.launches=0%hang"};
  EXPECT_EQ(pipe->arm_faults(bad).error().code, ec::not_found);
  EXPECT_EQ(armed(), "");
  const std::vector<std::string> good{"cpu.launch=0%hang", "http.send=0%return"};
  EXPECT_TRUE(pipe->arm_faults(good));
  EXPECT_EQ(armed(), "cpu.launch=0%hang http.send=0%return ");
  EXPECT_EQ(pipe->check_fault("http.send=hang").error(), pipe->arm_fault("http.send=hang").error());
  pipe->disarm_faults();
  EXPECT_EQ(armed(), "");
}

TEST(pipeline, a_configuration_arms_the_sites_of_a_door_that_is_not_open_yet) {
  pipeline_options options;
  options.faults.points = {"http.accept=0%return", "actor.router=0%exit"};
  EXPECT_TRUE(pipeline::start(options));
  options.faults.points = {"http.accept=corrupt"};
  const auto refused = pipeline::start(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::invalid_argument);
}

TEST(pipeline, many_threads_submit_while_versions_are_published) {
  const auto pipe = start(simulated());
  std::vector<collection_ptr> versions;
  for (int v = 0; v < 6; ++v)
    versions.push_back(some_vectors(40, 16, v));
  ASSERT_TRUE(pipe->publish("vectors", versions[0]));
  std::atomic<int> answered{0}, wrong{0};
  std::atomic<bool> stop{false};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      while (!stop) {
        const auto got = pipe->submit(nearest_to(versions[0], 3, 2)).get();
        if (!got.ok()) ++wrong;
        ++answered;
      }
    });
  for (std::size_t v = 1; v < versions.size(); ++v)
    ASSERT_TRUE(pipe->publish("vectors", versions[v]));
  stop = true;
  threads.clear();
  EXPECT_GT(answered, 0);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pipe->find("vectors")->version, 6u);
  EXPECT_EQ(pipe->health().devices.at(1).resident.size(), 1u) << "old versions left the GPU";
}

TEST(pipeline, a_cancelled_request_is_answered_once) {
  const auto pipe = start();
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  std::atomic<int> answers{0};
  std::vector<ticket> tickets;
  for (std::size_t i = 0; i < 200; ++i)
    tickets.push_back(pipe->submit(nearest_to(rows, i % 64), [&](answer) { ++answers; }));
  int cancelled = 0;
  for (const auto& each : tickets)
    cancelled += each.cancel() ? 1 : 0;
  pipe->stop();
  EXPECT_EQ(answers, 200);
  for (const auto& each : tickets)
    EXPECT_FALSE(each.cancel());
  EXPECT_LE(cancelled, 200);
}

TEST(pipeline, stop_drains_what_was_accepted_and_refuses_the_rest) {
  const auto pipe = start();
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  std::atomic<int> good{0};
  for (std::size_t i = 0; i < 500; ++i)
    pipe->submit(nearest_to(rows, i % 64), [&](answer a) { good += a.ok() ? 1 : 0; });
  EXPECT_TRUE(pipe->stop());
  EXPECT_EQ(good, 500);
  EXPECT_EQ(pipe->submit(nearest_to(rows, 1)).get().failure.code, ec::shutting_down);
  EXPECT_EQ(pipe->health().state, "stopped");
}

TEST(pipeline, stop_without_time_answers_everybody_with_shutting_down) {
  const auto pipe = start();
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=hang"));
  std::atomic<int> refused{0};
  for (std::size_t i = 0; i < 50; ++i)
    pipe->submit(nearest_to(rows, i),
                 [&](answer a) { refused += a.failure.code == ec::shutting_down ? 1 : 0; });
  EXPECT_FALSE(pipe->stop(0ms));
  EXPECT_EQ(refused, 50);
}

TEST(pipeline, another_thread_than_the_one_that_started_it_can_stop_it) {
  const auto pipe = start();
  std::promise<bool> stopped;
  std::jthread other{[&] { stopped.set_value(pipe->stop()); }};
  const auto done = stopped.get_future();
  ASSERT_EQ(done.wait_for(30s), std::future_status::ready);
}

/// Waits until `pipe` says that it is not alive.
void wait_for_end(const pipeline& pipe) {
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (pipe.health().live && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(1ms);
}

TEST(pipeline, actors_that_keep_dying_end_it_and_everybody_is_told) {
  auto options = simulated();
  options.supervisor.restart_intensity = 2;
  const auto pipe = start(options);
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("actor.batcher=exit"));
  std::vector<std::future<answer>> pending;
  for (std::size_t i = 0; i < 50; ++i)
    pending.push_back(pipe->submit(nearest_to(rows, i)));
  for (auto& each : pending)
    EXPECT_EQ(each.get().failure.code, ec::unavailable);
  wait_for_end(*pipe);
  const auto health = pipe->health();
  EXPECT_FALSE(health.live);
  EXPECT_FALSE(health.ready);
  EXPECT_TRUE(health.supervised);
  EXPECT_EQ(health.state, "unavailable");
  EXPECT_EQ(health.in_flight, 0u);
  const auto refused = pipe->submit(nearest_to(rows, 1)).get();
  EXPECT_EQ(refused.failure.code, ec::unavailable);
  EXPECT_NE(refused.failure.message.find("kept dying"), std::string::npos);
}

TEST(pipeline, without_its_supervisor_it_is_dead_and_everybody_is_told) {
  const auto pipe = start(simulated());
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("gpu0.launch=hang"));
  std::vector<std::future<answer>> pending;
  for (std::size_t i = 0; i < 20; ++i)
    pending.push_back(pipe->submit(nearest_to(rows, i)));
  EXPECT_TRUE(pipe->health().live);
  EXPECT_TRUE(pipe->health().supervised);
  ASSERT_TRUE(pipe->arm_fault("actor.supervisor=exit"));
  ASSERT_TRUE(pipe->arm_fault("actor.ingest=exit"));
  pending.push_back(pipe->submit(nearest_to(rows, 1)));
  for (auto& each : pending) {
    const auto got = each.get();
    EXPECT_TRUE(got.ok() || got.failure.code == ec::unavailable) << got.failure.message;
  }
  wait_for_end(*pipe);
  EXPECT_FALSE(pipe->health().live);
  EXPECT_FALSE(pipe->health().supervised);
  EXPECT_EQ(pipe->health().state, "unavailable");
  const auto refused = pipe->submit(nearest_to(rows, 1)).get();
  EXPECT_EQ(refused.failure.code, ec::unavailable);
  EXPECT_NE(refused.failure.message.find("its supervisor died"), std::string::npos);
  pipe->stop();
  EXPECT_EQ(pipe->counts().lost, 0u);
}

TEST(pipeline, a_gpu_that_computes_wrongly_is_found_and_what_it_said_is_written) {
  const auto folder =
      std::filesystem::path{::testing::TempDir()} / ("engram-wrong-" + std::to_string(::getpid()));
  auto options = simulated();
  options.routing.shadow_share = 0;
  options.gpu.thresholds.gpu_speedup_threshold = 1;
  options.gpu.verification.check_share = 0;
  options.gpu.verification.canary_interval_ms = 5;
  options.gpu.verification.evidence_directory = folder.string();
  options.gpu.breaker.cool_down_ms = 60'000;
  {
    const auto pipe = start(options);
    ASSERT_TRUE(pipe->publish("vectors", some_vectors()));
    ASSERT_TRUE(pipe->arm_fault("gpu0.result=1*corrupt"));
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (pipe->health().devices[1].available && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(1ms);
    EXPECT_EQ(pipe->health().devices[1].breaker, breaker_state::open);
    EXPECT_NE(pipe->metrics().find("engram_gpu_wrong_answers_total{device=\"gpu0\"} 1"),
              std::string::npos);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder}, {}), 1);
  std::filesystem::remove_all(folder);
}

TEST(pipeline, a_full_gate_refuses_and_says_the_limit) {
  pipeline_options options;
  options.admission.max_in_flight = 2;
  const auto pipe = start(options);
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=hang"));
  for (int i = 0; i < 2; ++i)
    pipe->submit(nearest_to(rows, 1), [](const answer&) {});
  const auto third = pipe->submit(nearest_to(rows, 1)).get();
  EXPECT_EQ(third.failure.code, ec::overloaded);
  EXPECT_NE(third.failure.message.find("2 requests in flight"), std::string::npos);
}

TEST(pipeline, a_reload_is_taken_whole_or_not_at_all) {
  const auto pipe = start();
  auto next = pipe->options();
  next.batching.max_wait_ms = 3;
  EXPECT_TRUE(pipe->reload(next));
  EXPECT_EQ(pipe->options().batching.max_wait_ms, 3);
  next.batching.max_wait_ms = 4;
  next.cpu.threads = 7;
  const auto refused = pipe->reload(next);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("cpu.threads"), std::string::npos);
  EXPECT_EQ(pipe->options().batching.max_wait_ms, 3);
  next.cpu.threads = 0;
  next.batching.max_wait_ms = -1;
  EXPECT_EQ(pipe->reload(next).error().code, ec::invalid_argument);
}

TEST(pipeline, an_override_is_in_effect_once_it_is_said_and_shows) {
  const auto pipe = start(simulated());
  ASSERT_TRUE(pipe->override_breaker("gpu0", breaker_override::open));
  EXPECT_EQ(pipe->health().devices.at(1).breaker, breaker_state::open);
  EXPECT_EQ(pipe->health().devices.at(1).overridden, breaker_override::open);
  EXPECT_FALSE(pipe->health().devices.at(1).available);
  ASSERT_TRUE(pipe->override_breaker("gpu0", breaker_override::automatic));
  EXPECT_EQ(pipe->health().devices.at(1).overridden, breaker_override::automatic);
  const auto until = clock_type::now() + 20s;
  while (!pipe->health().devices.at(1).available && clock_type::now() < until)
    std::this_thread::sleep_for(1ms);
  EXPECT_TRUE(pipe->health().devices.at(1).available);
}

TEST(pipeline, only_gpus_that_are_there_can_be_overridden) {
  const auto pipe = start(simulated());
  EXPECT_EQ(pipe->override_breaker("cpu", breaker_override::open).error().code,
            ec::invalid_argument);
  const auto unknown = pipe->override_breaker("gpu7", breaker_override::open);
  EXPECT_EQ(unknown.error().code, ec::not_found);
  EXPECT_NE(unknown.error().message.find("cpu, gpu0"), std::string::npos);
}

TEST(pipeline, a_supervisor_that_hangs_does_not_respond) {
  const auto pipe = start();
  EXPECT_TRUE(pipe->responds(5s));
  ASSERT_TRUE(pipe->arm_fault("actor.supervisor=1*delay(1500)"));
  ASSERT_TRUE(pipe->arm_fault("actor.ingest=1*exit"));
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  auto asked = pipe->submit(nearest_to(rows, 1)); // ingest dies of it, and the supervisor hears
  bool responds = true;
  for (int i = 0; i < 50 && responds; ++i)
    responds = pipe->responds(20ms);
  EXPECT_FALSE(responds);
  EXPECT_TRUE(pipe->health().live) << "which is what nothing else would have told";
  EXPECT_TRUE(pipe->responds(10s));
  asked.get();
}

TEST(pipeline, start_refuses_unusable_options) {
  pipeline_options options;
  options.gpu.devices = {"sim:abacus"};
  EXPECT_EQ(pipeline::start(options).error().code, ec::invalid_argument);
  options.gpu.devices = {"0"};
  EXPECT_EQ(pipeline::start(options).error().code, ec::unavailable);
  options.gpu.devices = {"auto"};
  options.batching.target_batch_size = 0;
  EXPECT_EQ(pipeline::start(options).error().code, ec::invalid_argument);
  options.batching.target_batch_size = 1;
  options.faults.points = {"gpu0.launch=explode"};
  EXPECT_FALSE(pipeline::start(options));
}

TEST(pipeline, metrics_have_our_names_and_the_guide_s) {
  const auto pipe = start(simulated());
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->publish("graph", *activation_graph::make(2, {{0, 1, 0.5f}})));
  for (std::size_t i = 0; i < 10; ++i)
    ASSERT_TRUE(pipe->submit(nearest_to(rows, i)).get().ok());
  ASSERT_TRUE(pipe->submit(spread_request{"graph", {{{0, 1.0f}}}, {}, {}}).get().ok());
  const auto text = pipe->metrics();
  for (const auto* name :
       {"engram_requests_total{op=\"search\",status=\"ok\"} 10",
        "engram_request_latency_seconds_bucket", "engram_queue_seconds", "engram_window_seconds",
        "engram_transfer_seconds", "engram_kernel_seconds", "engram_batch_size_bucket",
        "engram_batches_total{device=\"gpu0\",op=\"search\",reason=\"gpu\"}",
        "engram_gpu_launch_total{device=\"gpu0\"}", "engram_gpu_fallback_total{device=\"gpu0\"} 0",
        "engram_gpu_oom_total", "engram_gpu_wrong_answers_total{device=\"gpu0\"} 0",
        "engram_gpu_checks_total{device=\"gpu0\"}",
        "engram_hedged_batches_total{device=\"gpu0\"} 0",
        "engram_hedge_wins_total{device=\"gpu0\",winner=\"cpu\"} 0",
        "engram_hedge_losers_total{device=\"gpu0\",fate=\"cancelled\"} 0",
        "engram_actor_restarts_total{actor=\"router\"} 0",
        "engram_gpu_fallback_causes_total{cause=\"time_limit\",device=\"gpu0\"} 0",
        "engram_gpu_worker_restarts_total", "engram_gpu_success_rate{device=\"gpu0\"} 1",
        "engram_gpu_speedup_ratio{device=\"gpu0\",op=\"search\"}",
        "engram_gpu_available{device=\"gpu0\"} 1",
        "engram_gpu_breaker_state{device=\"gpu0\",state=\"closed\"} 1",
        "engram_gpu_memory_used_bytes", "engram_gpu_memory_budget_bytes",
        "engram_gpu_uploaded_bytes_total", "engram_in_flight_requests 0",
        "engram_queue_depth{actor=\"batcher\"}",
        // the guide's
        "gpu_launches{device=\"gpu0\"}", "gpu_fallbacks{device=\"gpu0\"}",
        "engram_gpu_launches_total", "batch_size_histogram_bucket",
        "engram_spreading_latency_bucket{le=\"100\"} 1", "engram_gpu_speedup_derived"})
    EXPECT_NE(text.find(name), std::string::npos) << name << "\n" << text;
}

TEST(pipeline, figures_are_what_the_metrics_say) {
  auto options = simulated();
  options.gpu.telemetry.telemetry_enabled = false; // they do not depend on it
  const auto pipe = start(options);
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  for (std::size_t i = 0; i < 10; ++i)
    ASSERT_TRUE(pipe->submit(nearest_to(rows, i)).get().ok());
  auto wrong = nearest_to(rows, 0);
  wrong.k = 0;
  ASSERT_FALSE(pipe->submit(wrong).get().ok());

  const auto figures = pipe->figures();
  const auto& search = figures.operations[static_cast<std::size_t>(operation::search)];
  EXPECT_EQ(search.answers[static_cast<std::size_t>(ec::none)], 10);
  EXPECT_EQ(search.answers[static_cast<std::size_t>(ec::invalid_argument)], 1);
  EXPECT_EQ(search.latency.buckets.size(), figures.second_bounds.size() + 1);
  EXPECT_EQ(std::accumulate(search.latency.buckets.begin(), search.latency.buckets.end(), 0), 10);
  EXPECT_EQ(search.batch_items.buckets.size(), figures.item_bounds.size() + 1);
  EXPECT_GE(search.batch_items.sum, 10);
  ASSERT_EQ(figures.devices.size(), 2);
  std::uint64_t batches = 0, runs = 0;
  for (const auto& device : figures.devices) {
    batches = std::accumulate(device.batches.begin(), device.batches.end(), batches);
    runs += device.runs;
  }
  EXPECT_EQ(batches, 10);
  EXPECT_GT(runs, 0);
  const auto& gpu = figures.devices[1];
  EXPECT_EQ(gpu.name, "gpu0");
  EXPECT_GT(gpu.speedup[static_cast<std::size_t>(operation::search)], 0);
  EXPECT_EQ(gpu.speedup[static_cast<std::size_t>(operation::spread)], 0);
  std::vector<std::string> actors;
  for (const auto& actor : figures.actors)
    actors.push_back(actor.name);
  EXPECT_THAT(actors, testing::ElementsAre("ingest", "batcher", "router", "telemetry", "cpu_worker",
                                           "gpu0_worker"));
}

TEST(pipeline, a_restart_shows_in_the_figures_of_its_actor) {
  const auto pipe = start({});
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->arm_fault("actor.batcher=1*exit"));
  ASSERT_TRUE(pipe->submit(nearest_to(rows, 1)).get().ok());
  for (const auto& actor : pipe->figures().actors)
    EXPECT_EQ(actor.restarts, actor.name == "batcher" ? 1 : 0) << actor.name;
}

TEST(pipeline, telemetry_that_is_switched_off_exports_nothing_but_keeps_the_breaker_working) {
  auto options = simulated();
  options.gpu.telemetry.telemetry_enabled = false;
  const auto pipe = start(options);
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  EXPECT_EQ(pipe->metrics(), "");
  ASSERT_TRUE(pipe->arm_fault("gpu0.launch=return(sticky)"));
  const auto until = clock_type::now() + 20s;
  while (pipe->health().devices.at(1).breaker == breaker_state::closed && clock_type::now() < until)
    ASSERT_TRUE(pipe->submit(nearest_to(rows, 1)).get().ok());
  EXPECT_NE(pipe->health().devices.at(1).breaker, breaker_state::closed);
}

TEST(pipeline, a_dropped_dataset_is_gone_and_its_name_is_told) {
  const auto pipe = start();
  const auto rows = some_vectors();
  ASSERT_TRUE(pipe->publish("vectors", rows));
  ASSERT_TRUE(pipe->drop("vectors"));
  EXPECT_EQ(pipe->drop("vectors").error().code, ec::not_found);
  EXPECT_EQ(pipe->submit(nearest_to(rows, 1)).get().failure.code, ec::not_found);
}

} // namespace
