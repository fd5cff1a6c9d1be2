// A GPU in child processes, with a simulated one in them: whatever ends a child, each batch is
// answered once, and the device is back.

#include "engram/devices/cpu_device.hpp"
#include "engram/devices/host/channel.hpp"
#include "engram/devices/host/process_device.hpp"
#include "engram/tests/devices/host/sample_batches.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <thread>

namespace engram {
namespace {

using namespace std::chrono_literals;
using test::sample_batches;
using ::testing::Contains;
using ::testing::HasSubstr;

const steady_clock_source machine_clock;

/// The machine's clock, which a test can put forward.
class hurried_clock final : public clock_source {
public:
  time_point now() const noexcept override { return machine_clock.now() + ahead_.load(); }
  void put_forward(duration d) { ahead_ = ahead_.load() + d; }

private:
  std::atomic<duration> ahead_{duration::zero()};
};

/// Waits until `condition` holds; false if it does not within ten seconds.
template <class Condition>
bool eventually(Condition&& condition) {
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

process_device_options options_for(const std::string& gpu) {
  process_device_options options;
  options.gpu = gpu;
  options.program = ENGRAM_GPU_HOST_HELPER;
  options.cpu_threads = 1;
  options.limits.hang_timeout = 300ms;
  options.limits.settling = 0ms;
  options.limits.crashes = {.intensity = 1000, .period = 1ms, .backoff = 1ms, .max_backoff = 50ms};
  return options;
}

class process_device_test : public ::testing::Test {
protected:
  void SetUp() override { open(options_for("sim:h100")); }

  void open(process_device_options options) {
    gpu.reset();
    auto made = make_process_device(std::move(options), faults, clock);
    ASSERT_TRUE(made) << made.error().message;
    gpu = std::move(*made);
    gpu->listen([this](const device_event& event) {
      const std::lock_guard lock(mutex);
      events.push_back(event);
    });
  }

  std::future<run_outcome> start(const work_batch_ptr& batch) {
    auto answered = std::make_shared<std::promise<run_outcome>>();
    auto future = answered->get_future();
    gpu->run(batch, [answered](run_outcome outcome) { answered->set_value(std::move(outcome)); });
    return future;
  }
  run_outcome run(const work_batch_ptr& batch) {
    auto future = start(batch);
    if (future.wait_for(10s) == std::future_status::ready) return future.get();
    ADD_FAILURE() << "a batch was never answered";
    return {};
  }
  void expect_right(const work_batch_ptr& batch) {
    const auto outcome = run(batch);
    ASSERT_FALSE(outcome.fault) << outcome.fault->message;
    EXPECT_EQ(outcome.outputs, compute_reference(*batch));
  }
  void arm(const std::string& setting) {
    const auto armed = faults.arm(setting);
    ASSERT_TRUE(armed) << armed.error().message;
  }
  int pid_of(const std::string& role) {
    for (const auto& each : gpu->processes())
      if (each.role == role) return each.pid;
    return 0;
  }
  bool wait_for_standby() {
    return eventually([this] { return pid_of("standby") != 0 && pid_of("owner") != 0; });
  }
  std::size_t count(device_event::kind what) {
    const std::lock_guard lock(mutex);
    return static_cast<std::size_t>(std::ranges::count(events, what, &device_event::what));
  }
  std::string causes() {
    const std::lock_guard lock(mutex);
    std::string all;
    for (const auto& each : events)
      if (each.what == device_event::kind::lost) all += each.cause + ' ';
    return all;
  }

  hurried_clock clock;
  fault_points faults;
  std::mutex mutex;
  std::vector<device_event> events;
  std::unique_ptr<device> gpu;
  sample_batches work{7};
};

TEST_F(process_device_test, answers_every_operation_as_the_reference_does) {
  const auto rows = work.collection(200, 48);
  const auto graph = work.graph(100, 700);
  ASSERT_TRUE(gpu->publish(rows));
  ASSERT_TRUE(gpu->publish(graph));
  for (int i = 0; i < 20; ++i) {
    expect_right(work.search(rows));
    expect_right(work.score(rows));
    expect_right(work.similarity());
    expect_right(work.spread(graph));
  }
  EXPECT_EQ(gpu->info().name, "gpu0");
  EXPECT_THAT(gpu->info().model, HasSubstr("simulated"));
  EXPECT_GE(gpu->budget().used_bytes, rows->resident_bytes());
  EXPECT_GT(gpu->budget().budget_bytes, gpu->budget().used_bytes);
}

TEST_F(process_device_test, works_for_several_callers_at_once) {
  const auto rows = work.collection(300, 32);
  ASSERT_TRUE(gpu->publish(rows));
  std::vector<work_batch_ptr> batches;
  for (int i = 0; i < 200; ++i)
    batches.push_back(work.search(rows));
  std::vector<std::future<run_outcome>> answers(batches.size());
  std::vector<std::thread> callers;
  for (std::size_t t = 0; t < 3; ++t)
    callers.emplace_back([&, t] {
      for (auto i = t; i < batches.size(); i += 3)
        answers[i] = start(batches[i]);
    });
  for (auto& each : callers)
    each.join();
  for (std::size_t i = 0; i < batches.size(); ++i) {
    ASSERT_EQ(answers[i].wait_for(10s), std::future_status::ready);
    const auto outcome = answers[i].get();
    ASSERT_FALSE(outcome.fault) << outcome.fault->message;
    EXPECT_EQ(outcome.outputs, compute_reference(*batches[i]));
  }
}

TEST_F(process_device_test, refuses_what_does_not_fit_and_says_how_much_is_missing) {
  auto small = options_for("sim:rtx3060");
  small.vram_safety_margin = 0.000001; // 12 KB
  open(std::move(small));
  const auto refused = gpu->publish(work.collection(1000, 32));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::resource_exhausted);
  EXPECT_THAT(refused.error().message, HasSubstr("missing"));
}

process_device_options with_mebibytes(double mebibytes) {
  auto options = options_for("sim:rtx3060"); // of 12 GiB
  options.vram_safety_margin = mebibytes / (12 << 10);
  return options;
}

TEST_F(process_device_test, has_room_for_what_replaces_a_dataset_just_retired) {
  open(with_mebibytes(10));
  const auto first = work.collection(48'000, 32), second = work.collection(48'000, 32);
  ASSERT_TRUE(gpu->publish(first)); // 6 MB
  ASSERT_FALSE(gpu->publish(second));
  gpu->retire(first->key);
  const auto published = gpu->publish(second);
  ASSERT_TRUE(published) << published.error().message;
  expect_right(work.search(second));
}

TEST_F(process_device_test, gets_the_memory_of_a_dead_owner_back_with_the_dataset) {
  open(with_mebibytes(10));
  const auto first = work.collection(48'000, 32), second = work.collection(48'000, 32);
  ASSERT_TRUE(gpu->publish(first));
  const auto owner = pid_of("owner");
  ASSERT_EQ(kill(owner, SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return pid_of("owner") != 0 && pid_of("owner") != owner; }));
  gpu->retire(first->key);
  const auto published = gpu->publish(second);
  ASSERT_TRUE(published) << published.error().message;
  expect_right(work.search(second));
}

TEST_F(process_device_test, an_owner_that_refuses_a_dataset_takes_the_next_one) {
  open(with_mebibytes(3)); // of which each dataset takes whole pieces of 2 MiB, as the owner counts
  const auto first = work.collection(1000, 32), second = work.collection(1000, 32);
  ASSERT_TRUE(gpu->publish(first));
  const auto owner = pid_of("owner");
  const auto refused = gpu->publish(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::resource_exhausted);
  gpu->retire(first->key);
  ASSERT_TRUE(gpu->publish(second));
  expect_right(work.search(second));
  EXPECT_EQ(pid_of("owner"), owner);
}

TEST_F(process_device_test, a_publication_ends_although_runners_die_during_it) {
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(wait_for_standby());
    const auto rows = work.collection(20'000, 32);
    std::thread killer([runner = pid_of("runner"), round] {
      std::this_thread::sleep_for(std::chrono::microseconds{200 * round});
      kill(runner, SIGKILL);
    });
    const auto begun = std::chrono::steady_clock::now();
    const auto published = gpu->publish(rows);
    killer.join();
    ASSERT_TRUE(published) << published.error().message;
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
    ASSERT_TRUE(eventually([&] { return gpu->is_resident(rows->key); }));
    gpu->retire(rows->key);
  }
}

TEST_F(process_device_test, forgets_a_retired_dataset) {
  const auto rows = work.collection(50, 16);
  ASSERT_TRUE(gpu->publish(rows));
  EXPECT_TRUE(gpu->is_resident(rows->key));
  gpu->retire(rows->key);
  EXPECT_TRUE(eventually([&] { return !gpu->is_resident(rows->key); }));
  EXPECT_TRUE(eventually([&] { return run(work.search(rows)).fault.has_value(); }));
  EXPECT_TRUE(eventually([&] { return gpu->budget().used_bytes == 0; }));
  EXPECT_TRUE(gpu->publish(rows));
  expect_right(work.search(rows));
}

TEST_F(process_device_test, says_why_a_gpu_cannot_be_used) {
  const auto none = make_process_device(options_for("sim:nothing"), faults, machine_clock);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ec::unavailable);
  EXPECT_THAT(none.error().message, HasSubstr("sim:nothing"));
  auto missing = options_for("sim:h100");
  missing.program = "/nowhere/engram";
  const auto no_program = make_process_device(std::move(missing), faults, machine_clock);
  ASSERT_FALSE(no_program);
  EXPECT_THAT(no_program.error().message, HasSubstr("/nowhere/engram"));
}

TEST_F(process_device_test, says_at_once_that_its_first_children_end) {
  const auto begun = std::chrono::steady_clock::now();
  auto wrong = options_for("sim:h100");
  wrong.program = "/bin/false";
  const auto no_host = make_process_device(std::move(wrong), faults, machine_clock);
  ASSERT_FALSE(no_host);
  EXPECT_EQ(no_host.error().code, ec::unavailable);
  EXPECT_EQ(no_host.error().message, "/bin/false gpu-host ended before it was ready for gpu0.");
  arm("gpu0.start=exit");
  const auto dying = make_process_device(options_for("sim:h100"), faults, machine_clock);
  ASSERT_FALSE(dying);
  EXPECT_THAT(dying.error().message, HasSubstr("ended before it was ready for gpu0."));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, host_limits{}.start_timeout / 2);
}

TEST_F(process_device_test, an_owner_that_refuses_a_dataset_is_not_slow) {
  auto small = options_for("sim:rtx3060");
  small.vram_safety_margin = 0.000001; // 12 KB, and an owner takes whole pieces of 2 MB
  open(std::move(small));
  ASSERT_TRUE(wait_for_standby());
  const auto owner = pid_of("owner");
  const auto refused = gpu->publish(work.collection(100, 16));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::resource_exhausted);
  clock.put_forward(1h);
  for (int i = 0; i < 5; ++i) // the device's thread looks around in between
    EXPECT_FALSE(run(work.similarity()).fault);
  EXPECT_EQ(pid_of("owner"), owner);
}

// -- deaths --

struct death {
  const char* name;
  const char* setting; ///< of a fault point; or empty: the runner is sent `signal`
  int signal;
  const char* cause;
};

class dying_runner : public process_device_test, public ::testing::WithParamInterface<death> {};

TEST_P(dying_runner, is_replaced_and_costs_no_upload) {
  const auto rows = work.collection(200, 32);
  ASSERT_TRUE(gpu->publish(rows));
  const auto uploaded = gpu->uploaded_bytes();
  for (std::size_t round = 1; round <= 3; ++round) {
    ASSERT_TRUE(wait_for_standby());
    const auto standby = pid_of("standby");
    if (GetParam().signal) {
      ASSERT_EQ(kill(pid_of("runner"), GetParam().signal), 0);
    } else {
      arm(GetParam().setting);
    }
    std::vector<work_batch_ptr> batches;
    std::vector<std::future<run_outcome>> answers;
    for (int i = 0; i < 10; ++i)
      answers.push_back(start(batches.emplace_back(work.search(rows))));
    for (std::size_t i = 0; i < answers.size(); ++i) {
      ASSERT_EQ(answers[i].wait_for(10s), std::future_status::ready) << GetParam().name;
      const auto outcome = answers[i].get();
      if (!outcome.fault) {
        EXPECT_EQ(outcome.outputs, compute_reference(*batches[i]));
      }
    }
    ASSERT_TRUE(eventually([&] { return count(device_event::kind::restored) == round; }));
    EXPECT_EQ(pid_of("runner"), standby);
    expect_right(work.search(rows));
  }
  EXPECT_EQ(count(device_event::kind::lost), 3u);
  EXPECT_THAT(causes(), HasSubstr(GetParam().cause));
  EXPECT_EQ(gpu->uploaded_bytes(), uploaded);
}

INSTANTIATE_TEST_SUITE_P(
    every_way, dying_runner,
    ::testing::Values(death{"sticky_at_launch", "gpu0.launch=1*return(sticky)", 0, "sticky"},
                      death{"trap", "gpu0.launch=1*cuda(trap)", 0, "sticky"},
                      death{"sticky_at_completion", "gpu0.complete=1*return(sticky)", 0, "sticky"},
                      death{"exit_at_launch", "gpu0.launch=1*exit", 0, "exit"},
                      death{"exit_at_completion", "gpu0.complete=1*exit", 0, "exit"},
                      death{"hung_kernel", "gpu0.launch=1*cuda(hang)", 0, "hung"},
                      death{"hung_runner", "gpu0.alloc=1*hang", 0, "hung"},
                      death{"sigkill", "", SIGKILL, "exit"}, death{"sigstop", "", SIGSTOP, "hung"}),
    [](const auto& each) { return each.param.name; });

/// Returns the channel of runner `pid`, as that process has it.
std::optional<shared_memory> channel_of(int pid) {
  const auto files = "/proc/" + std::to_string(pid) + "/fd";
  for (const auto& each : std::filesystem::directory_iterator(files)) {
    std::error_code gone;
    const auto what = std::filesystem::read_symlink(each.path(), gone).string();
    if (gone || what.find("engram-channel") == what.npos) continue;
    auto memory = shared_memory::map(unique_fd{open(each.path().c_str(), O_RDWR)}, true);
    if (memory) return std::move(*memory);
  }
  return std::nullopt;
}

TEST_F(process_device_test, replaces_a_runner_that_writes_nonsense) {
  const auto rows = work.collection(200, 32);
  ASSERT_TRUE(gpu->publish(rows));
  ASSERT_TRUE(wait_for_standby());
  const auto runner = pid_of("runner"), standby = pid_of("standby");
  const auto channel = channel_of(runner);
  ASSERT_TRUE(channel);
  auto& said = *reinterpret_cast<host_segment*>(channel->bytes().data());
  arm("gpu0.alloc=1*hang");
  auto held = start(work.search(rows)); // goes down with its runner
  said.completed.written += 1u << 31;

  ASSERT_TRUE(eventually([&] { return count(device_event::kind::restored) == 1; }));
  EXPECT_EQ(causes(), "broken ");
  ASSERT_EQ(held.wait_for(10s), std::future_status::ready);
  const auto outcome = held.get();
  ASSERT_TRUE(outcome.fault);
  EXPECT_THAT(outcome.fault->message, HasSubstr("more batches than it can have"));
  EXPECT_EQ(pid_of("runner"), standby);
  EXPECT_TRUE(eventually([&] { return kill(runner, 0) != 0; })) << "the runner lives on";
  expect_right(work.search(rows));
}

TEST_F(process_device_test, serves_on_while_its_owner_is_killed) {
  const auto rows = work.collection(200, 32);
  ASSERT_TRUE(gpu->publish(rows));
  ASSERT_TRUE(wait_for_standby());
  const auto uploaded = gpu->uploaded_bytes();
  const auto owner = pid_of("owner");
  ASSERT_EQ(kill(owner, SIGKILL), 0);
  for (int i = 0; i < 50; ++i)
    expect_right(work.search(rows));
  ASSERT_TRUE(eventually([&] { return pid_of("owner") != 0 && pid_of("owner") != owner; }));
  EXPECT_EQ(gpu->uploaded_bytes(), uploaded);
  EXPECT_EQ(count(device_event::kind::lost), 0u);
  const auto more = work.collection(100, 32);
  ASSERT_TRUE(gpu->publish(more)); // the new owner takes datasets
  expect_right(work.search(more));
  // A runner that starts now gets both.
  ASSERT_TRUE(wait_for_standby());
  ASSERT_EQ(kill(pid_of("runner"), SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return count(device_event::kind::restored) == 1; }));
  expect_right(work.search(rows));
  expect_right(work.search(more));
}

TEST_F(process_device_test, serves_again_without_a_standby_once_a_runner_has_started) {
  auto alone = options_for("sim:h100");
  alone.limits.standby = false;
  open(std::move(alone));
  const auto rows = work.collection(100, 32);
  ASSERT_TRUE(gpu->publish(rows));
  arm("gpu0.launch=1*exit");
  EXPECT_TRUE(run(work.search(rows)).fault);
  ASSERT_TRUE(eventually([&] { return count(device_event::kind::restored) == 1; }));
  expect_right(work.search(rows));
  EXPECT_EQ(pid_of("standby"), 0);
}

TEST_F(process_device_test, is_not_restored_at_once_in_a_crash_loop) {
  auto strict = options_for("sim:h100");
  strict.limits.settling = 0ms;
  strict.limits.crashes = {.intensity = 2, .period = 60s, .backoff = 1ms, .max_backoff = 20ms};
  open(std::move(strict));
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(wait_for_standby());
    ASSERT_EQ(kill(pid_of("runner"), SIGKILL), 0);
    ASSERT_TRUE(eventually([&, i] { return count(device_event::kind::lost) == i + 1u; }));
  }
  ASSERT_TRUE(wait_for_standby());
  EXPECT_LT(count(device_event::kind::restored), 4u);
  EXPECT_TRUE(gpu->reset()); // whoever tries it finds it well
  expect_right(work.similarity());
}

TEST_F(process_device_test, a_child_that_fails_to_start_is_started_again) {
  arm("gpu0.start=2*return->1*exit->off");
  ASSERT_TRUE(wait_for_standby());
  ASSERT_EQ(kill(pid_of("runner"), SIGKILL), 0);
  ASSERT_TRUE(eventually([&] { return count(device_event::kind::restored) == 1; }));
  ASSERT_TRUE(wait_for_standby());
  expect_right(work.similarity());
}

TEST_F(process_device_test, a_lost_ring_delays_a_batch_and_loses_nothing) {
  const auto rows = work.collection(100, 32);
  ASSERT_TRUE(gpu->publish(rows));
  arm("gpu0.doorbell=return");
  for (int i = 0; i < 5; ++i)
    expect_right(work.search(rows));
}

TEST_F(process_device_test, delays_and_corrupts_on_demand) {
  const auto rows = work.collection(100, 32);
  ASSERT_TRUE(gpu->publish(rows));
  arm("gpu0.launch=1*delay(30)");
  arm("gpu0.complete=1*delay(30)");
  const auto begun = std::chrono::steady_clock::now();
  expect_right(work.search(rows));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 60ms);
  arm("gpu0.result=1*corrupt");
  const auto batch = work.search(rows);
  const auto outcome = run(batch);
  ASSERT_FALSE(outcome.fault);
  EXPECT_NE(outcome.outputs, compute_reference(*batch));
}

TEST_F(process_device_test, leaves_nothing_behind) {
  std::vector<int> pids;
  ASSERT_TRUE(wait_for_standby());
  for (const auto& each : gpu->processes())
    pids.push_back(each.pid);
  EXPECT_EQ(pids.size(), 3u);
  gpu.reset();
  for (const auto pid : pids)
    EXPECT_NE(kill(pid, 0), 0) << "process " << pid << " is still there";
}

TEST_F(process_device_test, its_children_end_with_their_parent) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the thread sanitizer ends a process that starts threads after a fork";
#endif
  // A process of its own opens a device, says who its children are, and is killed.
  int said[2];
  ASSERT_EQ(pipe(said), 0);
  const auto parent = fork();
  if (parent == 0) {
    fault_points none;
    auto made = make_process_device(options_for("sim:h100"), none, machine_clock);
    if (!made) _exit(1);
    for (int i = 0; i < 1000 && (*made)->processes().size() < 3; ++i)
      std::this_thread::sleep_for(5ms);
    for (const auto& each : (*made)->processes())
      if (write(said[1], &each.pid, sizeof(int)) < 0) _exit(1);
    close(said[1]);
    pause();
  }
  close(said[1]);
  std::vector<int> children;
  for (int pid = 0; children.size() < 3 && read(said[0], &pid, sizeof(int)) == sizeof(int);)
    children.push_back(pid);
  close(said[0]);
  ASSERT_EQ(children.size(), 3u);
  ASSERT_EQ(kill(parent, SIGKILL), 0);
  waitpid(parent, nullptr, 0);
  for (const auto pid : children)
    EXPECT_TRUE(eventually([pid] {
      std::ifstream state("/proc/" + std::to_string(pid) + "/stat");
      std::string text;
      std::getline(state, text);
      return text.empty() || text.find(") Z") != std::string::npos;
    })) << "process "
        << pid;
}

} // namespace
} // namespace engram
