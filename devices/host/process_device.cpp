#include "engram/devices/host/process_device.hpp"

#include "engram/devices/gpu_fault_sites.hpp"
#include "engram/devices/host/spin.hpp"
#include "engram/devices/host/supervisor.hpp"

#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;

// A batch whose inputs are copied to a slot in less time than it takes to wake a thread.
constexpr std::uint64_t quick_input_bytes = 32u << 10;

/// One thread watches the child processes. Batches go to the runner on the threads that bring them;
/// all else happens on that thread.
class process_device final : public device {
public:
  process_device(process_device_options options, unique_fd wake, fault_points& faults,
                 const clock_source& clock)
      : options_(std::move(options)), clock_(clock), wake_(std::move(wake)),
        // No process of the GPU takes part in an upload fault: there is none to exit.
        faults_(faults, options_.name, {fault_action::kind::fail}), agenda_(wake_),
        batches_(options_.name, faults, faults_, clock, agenda_),
        processes_(options_, faults, wake_), supervisor_(options_, clock, processes_, batches_) {}
  ~process_device() override;

  result<void> open();

  const device_info& info() const noexcept override { return supervisor_.info(); }
  void run(work_batch_ptr batch, run_done done) override {
    batches_.run(std::move(batch), std::move(done));
  }
  bool is_quick(const work_batch& batch) const noexcept override {
    return input_bytes(batch) <= quick_input_bytes;
  }
  result<void> publish(const dataset_ptr& data) override;
  void retire(std::uint64_t key) override;
  bool is_resident(std::uint64_t key) const override { return batches_.has_dataset(key); }
  memory_budget budget() const noexcept override { return supervisor_.budget(); }
  /// The runner keeps its own, and a batch that does not fit is split.
  std::uint64_t workspace_bytes(const work_batch&) const noexcept override { return 0; }
  bool reset() override { return !faults_.reset.point.fire() && batches_.serving(); }
  void listen(device_listener listener) override { supervisor_.listen(std::move(listener)); }
  std::vector<device_process> processes() const override { return supervisor_.processes(); }
  std::uint64_t uploaded_bytes() const noexcept override { return supervisor_.uploaded_bytes(); }

private:
  // -- the device's thread --
  void serve();
  bool do_what_is_due();
  std::uint32_t rings() const { return agenda_.calls() + processes_.rings(); }
  void wait(std::uint32_t seen);
  void sleep();

  const process_device_options options_;
  const clock_source& clock_;
  const unique_fd wake_; ///< for the device's thread: runners, other threads
  const gpu_fault_sites faults_;
  host_agenda agenda_;
  host_batches batches_;
  host_processes processes_;
  host_supervisor supervisor_;
  spin_wait spin_;
  std::mutex publishing_; ///< one publication at a time
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

result<void> process_device::open() {
  thread_ = std::thread([this] { serve(); });
  return supervisor_.wait_until_usable();
}

process_device::~process_device() {
  batches_.stop();
  stopping_ = true;
  agenda_.wake_thread();
  if (thread_.joinable()) thread_.join();
}

// -- datasets --

result<void> process_device::publish(const dataset_ptr& data) {
  if (auto fault = injected_fault(faults_.upload.name, faults_.upload.point.fire()))
    return error{fault->kind == fault_class::oom ? ec::resource_exhausted : ec::unavailable,
                 options_.name + " could not take the dataset: " + fault->message};
  const std::lock_guard one_at_a_time(publishing_);
  if (is_resident(data->key)) return {};
  // The owner counts exactly; this spares copying what cannot fit.
  std::promise<result<void>> asked;
  agenda_.at(clock_.now(), [&] { asked.set_value(supervisor_.room_for(*data)); });
  if (auto room = asked.get_future().get(); !room) return room;
  auto content = copy_content(*data);
  if (!content) return std::move(content).error();
  auto wanted = std::make_shared<publication>(data, std::move(*content));
  auto outcome = wanted->outcome.get_future();
  agenda_.at(clock_.now(), [this, wanted] { supervisor_.datasets().publish(wanted); });
  return outcome.get();
}

void process_device::retire(std::uint64_t key) {
  agenda_.at(clock_.now(), [this, key] { supervisor_.datasets().retire(key); });
}

// -- the device's thread --

void process_device::serve() {
  prctl(PR_SET_TIMERSLACK, 1UL);
  supervisor_.begin();
  while (!stopping_) {
    const auto seen = rings();
    const bool collected = supervisor_.collect(); // first: somebody waits for the answers
    supervisor_.act();
    const bool did = do_what_is_due();
    if (collected) spin_.restart();
    if (!collected && !did) wait(seen);
  }
  // Here, because a child process lives no longer than the thread that started it.
  processes_.end_all();
}

/// Does what has its time or came from elsewhere; false if there was nothing.
bool process_device::do_what_is_due() {
  const auto now = clock_.now();
  const auto due = agenda_.take_due(now);
  for (const auto& action : due)
    action();
  const bool was_late = supervisor_.look_for_the_late(now);
  return was_late || !due.empty();
}

/// Waits for a ring that came after `seen` were counted, or until something is due.
void process_device::wait(std::uint32_t seen) {
  // Also with nothing on its way: who got an answer often has a next batch.
  if (spin_.until([&] { return rings() != seen; })) return;
  sleep();
}

/// Sleeps until a child has something to say or something is due.
void process_device::sleep() {
  auto until = clock_.now() + 100ms;
  if (const auto next = agenda_.next()) until = std::min(until, *next);
  if (const auto timer = supervisor_.timer()) until = std::min(until, *timer);
  bool at_once = stopping_;
  // Where nobody spins, the answer wakes this thread soon enough.
  if (spin_wait::is_worthwhile() && !supervisor_.is_busy() && !batches_.fall_asleep())
    at_once = true;
  const auto news = processes_.sleep(at_once ? 0ns : until - clock_.now());
  batches_.wake_up();
  if (news.woken) spin_.restart();
  supervisor_.on_news(news);
}

} // namespace

result<std::unique_ptr<device>> make_process_device(process_device_options options,
                                                    fault_points& faults,
                                                    const clock_source& clock) {
  auto wake = make_event();
  if (!wake) return std::move(wake).error();
  auto made = std::make_unique<process_device>(std::move(options), std::move(*wake), faults, clock);
  if (auto opened = made->open(); !opened) return std::move(opened).error();
  return std::unique_ptr<device>{std::move(made)};
}

result<int> count_cuda_gpus(const std::string& program, duration patience) {
  auto child = host_child::start(program);
  if (!child) return std::move(child).error();
  bool closed = false;
  host_hello question;
  question.gpu = all_cuda_gpus;
  if (send(child->socket(), to_message(question))) {
    pollfd answer{child->socket(), POLLIN, 0};
    const auto limit = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
    if (poll(&answer, 1, static_cast<int>(limit)) == 0)
      return error{ec::unavailable, program + " did not say in " + std::to_string(limit) +
                                        " ms which GPUs there are."};
    if (const auto found = receive(child->socket(), true, closed)) {
      if (found->kind == host_message_kind::failed) return error{ec::unavailable, found->text};
      return static_cast<int>(found->numbers[0]);
    }
  }
  return error{ec::unavailable, program + " ended without saying which GPUs there are."};
}

} // namespace engram
