#include "engram/devices/host/process_device.hpp"

#include "engram/devices/describe.hpp"
#include "engram/devices/fault_injection.hpp"
#include "engram/devices/gpu_fault_sites.hpp"
#include "engram/devices/host/child.hpp"
#include "engram/devices/host/content.hpp"
#include "engram/devices/host/hello.hpp"
#include "engram/devices/host/resident_set.hpp"
#include "engram/devices/host/runner_link.hpp"
#include "engram/devices/host/spin.hpp"

#include <poll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace engram {

namespace {

using namespace std::chrono_literals;

// Virtual room for one batch: inputs and outputs. Only what is used takes memory.
constexpr std::size_t slot_bytes = 256u << 20;
// A batch whose inputs are copied to a slot in less time than it takes to wake a thread.
constexpr std::uint64_t quick_input_bytes = 32u << 10;
// How long a child may take over a dataset: this, and a second for so many of its bytes.
constexpr auto dataset_patience = 10s;
constexpr double least_bytes_per_second = 200e6;

/// One child process as this one sees it.
struct host_process {
  host_id id = 0;
  host_role role = host_role::runner;
  host_child child;
  std::shared_ptr<runner_link> link = nullptr; ///< of a runner
  std::uint64_t used_bytes = 0;
  bool greeted = false;   ///< it has said what it is
  bool is_ready = false;  ///< the policy knows
  bool is_killed = false; ///< by this process; its end is on the way
  bool is_gone = false;   ///< the policy knows; the process may not have ended yet
  bool is_silent = false; ///< its socket is closed
  std::string trouble{};  ///< what it said before it ended
  std::set<std::uint64_t> attached{};
  std::map<std::uint64_t, time_point>
      asked{}; ///< datasets that it has not answered for, and until when
};

class process_device final : public device {
public:
  process_device(process_device_options options, fault_points& faults, const clock_source& clock)
      : options_(std::move(options)), clock_(clock), policy_(options_.limits),
        // No process of the GPU takes part in an upload fault: there is none to exit.
        faults_(faults, options_.name, {kind::fail}),
        doorbell_(site(faults, "doorbell",
                       "the ring that tells a runner of a batch: return loses it",
                       {kind::fail, kind::delay})),
        start_(site(faults, "start", "start of a child process",
                    {kind::fail, kind::hang, kind::exit})) {}

  result<void> open();
  ~process_device() override;

  const device_info& info() const noexcept override { return info_; }
  void run(work_batch_ptr batch, run_done done) override;
  bool is_quick(const work_batch& batch) const noexcept override {
    return input_bytes(batch) <= quick_input_bytes;
  }
  result<void> publish(const dataset_ptr& data) override;
  void retire(std::uint64_t key) override;
  bool is_resident(std::uint64_t key) const override {
    const std::lock_guard lock(mutex_);
    return served_.contains(key);
  }
  memory_budget budget() const noexcept override { return {used_bytes_, budget_bytes_}; }
  /// The runner keeps its own, and a batch that does not fit is split.
  std::uint64_t workspace_bytes(const work_batch&) const noexcept override { return 0; }
  bool reset() override;
  void listen(device_listener listener) override {
    const std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
  }
  std::vector<device_process> processes() const override {
    const std::lock_guard lock(mutex_);
    auto list = process_list_;
    if (clock_.now() < settled_at_)
      for (auto& each : list)
        if (each.role == "standby") each.role = "starting";
    return list;
  }
  std::uint64_t uploaded_bytes() const noexcept override { return uploaded_bytes_; }

private:
  using kind = fault_action::kind;
  fault_site site(fault_points& faults, std::string_view what, std::string_view meaning,
                  fault_tasks tasks) const {
    return make_fault_site(faults, options_.name, what, meaning, tasks);
  }

  // -- batches, on any thread --
  void order_trouble(host_job& job);
  void dispatch(host_job job);
  void dispatch_waiting();
  void look_out();
  void fail(host_job& job, fault_class how, std::string why);
  void at(time_point when, std::function<void()> action);

  // -- the device's thread --
  void serve();
  bool collect();
  void end(host_job job, run_outcome outcome);
  bool do_what_is_due();
  void wait();
  void sleep();
  bool has_batches() const;
  std::uint32_t rings() const;

  // -- child processes --
  void act();
  void call_restored_once_it_answers();
  void start(host_id id, host_role role);
  result<host_message> greeting(host_id id, host_role role, std::shared_ptr<runner_link>& link);
  void kill(host_id id, std::string_view cause);
  void give_batches_to(host_id id);
  void lose(host_id id, std::string_view cause);
  void bury(host_process& process, std::string_view cause);
  bool look_for_the_dead();
  void hear(host_process& process);
  void on_message(host_process& process, host_message& message);
  void on_ready(host_process& process, const host_message& message);
  void complain(const std::string& why);
  void tell(device_event::kind what, std::string_view cause, std::string message);
  host_process* find(host_id id);
  void update_list();

  // -- datasets, on the device's thread --
  void begin_publication(std::shared_ptr<publication> wanted);
  void ask_owner();
  void on_published(host_message& message);
  void attach(host_process& runner, std::uint64_t key);
  void on_attach_answer(host_process& runner, const host_message& message);
  void end_publication(result<void> outcome);
  void forget(std::uint64_t key);
  void look_for_the_slow();
  time_point patience_for(const dataset& data) const;

  const process_device_options options_;
  const clock_source& clock_;
  host_policy policy_;
  const gpu_fault_sites faults_;
  const fault_site doorbell_, start_;
  device_info info_;
  unique_fd wake_; ///< for the device's thread: runners, other threads

  // Of the device's thread.
  std::list<host_process> processes_;
  resident_set residents_;
  std::deque<std::shared_ptr<publication>> publications_; ///< the first one is under way
  bool owner_is_asked_ = false;
  spin_wait spin_;

  std::mutex publishing_; ///< one publication at a time

  mutable std::mutex mutex_;
  std::condition_variable opened_;
  std::shared_ptr<runner_link> serving_;
  std::set<std::uint64_t> served_; ///< keys of the datasets that the serving runner has
  std::deque<host_job> waiting_;   ///< for a slot
  std::multimap<time_point, std::function<void()>> later_;
  device_listener listener_;
  std::vector<device_process> process_list_;
  time_point settled_at_{};
  std::string first_trouble_; ///< why a child could not be started or used
  bool stopping_ = false;

  std::atomic<std::uint64_t> used_bytes_{0}, budget_bytes_{0}, uploaded_bytes_{0};
  std::atomic<bool> is_asleep_{false};  ///< without a batch to wait for
  std::atomic<std::uint32_t> calls_{0}; ///< changes when `later_` does
  std::thread thread_;
};

// -- batches --

void process_device::run(work_batch_ptr batch, run_done done) {
  host_job job;
  job.batch = std::move(batch);
  job.done = std::move(done);
  order_trouble(job);
  if (job.at_start.what == kind::delay) {
    const auto when = clock_.now() + std::exchange(job.at_start, {}).wait;
    auto held = std::make_shared<host_job>(std::move(job));
    return at(when, [this, held] { dispatch(std::move(*held)); });
  }
  dispatch(std::move(job));
}

/// Asks the fault points of a batch. The runner does what they say.
void process_device::order_trouble(host_job& job) {
  job.at_start = faults_.alloc.point.fire();
  if (!job.at_start) job.at_start = faults_.launch.point.fire();
  job.at_end = faults_.complete.point.fire();
  const auto ring = doorbell_.point.fire();
  job.ring_is_lost = ring.what == kind::fail;
  if (ring.what == kind::delay && !job.at_start) job.at_start = ring;
}

void process_device::dispatch(host_job job) {
  job.begun = clock_.now();
  for (;;) {
    std::shared_ptr<runner_link> link;
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      link = serving_;
    }
    if (!link) return fail(job, fault_class::no_device, options_.name + " has no runner now");
    switch (link->send(job)) {
    case runner_link::verdict::sent:
      look_out();
      return;
    case runner_link::verdict::closed: {
      const std::lock_guard lock(mutex_);
      if (serving_ == link) serving_ = nullptr;
      continue; // another one may serve already
    }
    case runner_link::verdict::too_large:
      return fail(job, fault_class::oom,
                  "the batch is larger than the memory that a runner shares for one");
    case runner_link::verdict::full: {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(job));
      return; // the next batch that ends makes room
    }
    }
  }
}

/// Wakes the device's thread for a first batch: it looks for the answer without sleeping, and knows
/// when the batch is late.
void process_device::look_out() {
  if (is_asleep_.exchange(false)) signal_event(wake_.get());
}

void process_device::fail(host_job& job, fault_class how, std::string why) {
  run_outcome outcome;
  outcome.fault = device_fault{how, std::move(why)};
  std::exchange(job.done, nullptr)(std::move(outcome));
}

/// Calls `action` on the device's thread at `when` or soon after.
void process_device::at(time_point when, std::function<void()> action) {
  {
    const std::lock_guard lock(mutex_);
    later_.emplace(when, std::move(action));
  }
  calls_.fetch_add(1);
  signal_event(wake_.get());
}

bool process_device::reset() {
  if (faults_.reset.point.fire()) return false;
  const std::lock_guard lock(mutex_);
  return serving_ != nullptr;
}

// -- the device's thread --

void process_device::serve() {
  prctl(PR_SET_TIMERSLACK, 1UL);
  policy_.begin(clock_.now());
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
    }
    act();
    const bool collected = collect();
    const bool did = do_what_is_due();
    if (collected) spin_.restart();
    if (!collected && !did) wait();
  }
  // Here, because a child process lives no longer than the thread that started it.
  for (auto& process : processes_)
    process.child.kill();
  processes_.clear();
}

/// Answers what runners have ended, and finds those that say that they are lost.
bool process_device::collect() {
  bool any = false;
  for (auto& process : processes_) {
    if (!process.link || process.is_gone) continue;
    while (auto ended = process.link->next_ended()) {
      any = true;
      end(std::move(ended->job), std::move(ended->outcome));
    }
    if (!process.link->is_lost()) continue;
    any = true;
    process.trouble = process.link->loss();
    bury(process, "sticky");
  }
  if (any) dispatch_waiting();
  return any;
}

/// Tries again with the batches that found no slot.
void process_device::dispatch_waiting() {
  std::deque<host_job> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.swap(waiting_);
  }
  for (auto& job : waiting)
    dispatch(std::move(job));
}

void process_device::end(host_job job, run_outcome outcome) {
  if (job.at_end.what == kind::delay) {
    const auto when = clock_.now() + std::exchange(job.at_end, {}).wait;
    auto held =
        std::make_shared<std::pair<host_job, run_outcome>>(std::move(job), std::move(outcome));
    return at(when, [this, held] { end(std::move(held->first), std::move(held->second)); });
  }
  if (!outcome.fault && faults_.result.point.fire().what == kind::corrupt) corrupt(outcome.outputs);
  std::exchange(job.done, nullptr)(std::move(outcome));
}

/// Does what has its time or came from elsewhere; false if there was nothing.
bool process_device::do_what_is_due() {
  std::vector<std::function<void()>> due;
  const auto now = clock_.now();
  {
    const std::lock_guard lock(mutex_);
    const auto end = later_.upper_bound(now);
    for (auto each = later_.begin(); each != end; ++each)
      due.push_back(std::move(each->second));
    later_.erase(later_.begin(), end);
  }
  for (const auto& action : due)
    action();
  const std::shared_ptr<runner_link> link = [this] {
    const std::lock_guard lock(mutex_);
    return serving_;
  }();
  const auto load = link ? link->what_it_has() : runner_link::load{};
  policy_.on_oldest_batch(load.oldest, load.predicted);
  if (const auto timer = policy_.timer(); timer && *timer <= now) policy_.on_timer(now);
  look_for_the_slow();
  return !due.empty();
}

bool process_device::has_batches() const {
  std::shared_ptr<runner_link> link;
  {
    const std::lock_guard lock(mutex_);
    link = serving_;
  }
  return link && link->what_it_has().oldest;
}

std::uint32_t process_device::rings() const {
  std::uint32_t sum = calls_.load();
  for (const auto& process : processes_)
    if (process.link && !process.is_gone) sum += process.link->rings();
  return sum;
}

void process_device::wait() {
  const auto seen = rings();
  if (policy_.is_busy() && spin_.until([&] { return rings() != seen; })) return;
  sleep();
}

/// Sleeps until a child has something to say or something is due.
void process_device::sleep() {
  std::vector<pollfd> events{{wake_.get(), POLLIN, 0}};
  std::vector<host_process*> of;
  bool rang = false;
  for (auto& process : processes_) {
    events.push_back({process.child.end_event(), POLLIN, 0});
    const bool listens = !process.is_gone && !process.is_silent;
    events.push_back({listens ? process.child.socket() : -1, POLLIN, 0});
    of.push_back(&process);
    if (process.link && !process.is_gone) {
      auto& bell = process.link->channel().head().to_sender;
      const auto now = bell.rings();
      // What came before this look is collected before the next sleep.
      if (process.link->has_news() || !bell.fall_asleep(now)) rang = true;
    }
  }
  auto until = clock_.now() + 100ms;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) rang = true;
    if (!later_.empty()) until = std::min(until, later_.begin()->first);
  }
  if (const auto timer = policy_.timer()) until = std::min(until, *timer);
  // Where nobody spins, the answer wakes this thread soon enough.
  if (spin_wait::is_worthwhile() && !policy_.is_busy()) {
    is_asleep_ = true;
    if (has_batches()) rang = true; // sent a moment ago
  }
  const auto left = std::max<duration>(rang ? 0ns : until - clock_.now(), 0ns);
  const timespec patience{static_cast<time_t>(left / 1s), static_cast<long>((left % 1s).count())};
  ppoll(events.data(), events.size(), &patience, nullptr);
  for (auto& process : processes_)
    if (process.link) process.link->channel().head().to_sender.wake_up();
  is_asleep_ = false;
  if (events[0].revents) {
    clear_event(wake_.get());
    spin_.restart();
  }
  for (std::size_t i = 0; i < of.size(); ++i)
    if (events[2 + 2 * i].revents) hear(*of[i]);
  look_for_the_dead();
}

// -- child processes --

/// Does what the policy says.
void process_device::act() {
  for (auto actions = policy_.take_actions(); !actions.empty(); actions = policy_.take_actions())
    for (const auto& action : actions)
      switch (action.what) {
      case host_policy::action::kind::start:
        start(action.id, action.role);
        break;
      case host_policy::action::kind::kill:
        kill(action.id, action.cause);
        break;
      case host_policy::action::kind::serve:
        give_batches_to(action.id);
        break;
      case host_policy::action::kind::lost:
        lose(action.id, action.cause);
        break;
      case host_policy::action::kind::restored:
        call_restored_once_it_answers();
        break;
      }
  update_list();
}

/// A GPU may run nothing for a while after one of its contexts was lost: whoever hears `restored`
/// may count on answers.
void process_device::call_restored_once_it_answers() {
  auto payload = std::make_shared<work_payload>();
  payload->op = operation::similarity;
  payload->dim = 1;
  payload->queries = payload->targets = payload->inverse_norms = {1.0f};
  auto batch = std::make_shared<work_batch>();
  batch->op = payload->op;
  batch->dim = payload->dim;
  batch->items = {{payload, 0, 1}};
  host_job job;
  job.batch = std::move(batch);
  job.done = [this](const run_outcome& outcome) {
    if (!outcome.fault)
      tell(device_event::kind::restored, "standby", options_.name + " serves again");
  };
  dispatch(std::move(job));
}

void process_device::start(host_id id, host_role role) {
  std::shared_ptr<runner_link> link;
  auto hello = greeting(id, role, link);
  auto child = hello ? host_child::start(options_.program) : result<host_child>{hello.error()};
  if (!child || !send(child->socket(), *hello)) {
    complain(child ? "its socket is closed" : child.error().message);
    return policy_.on_death(id, "start", clock_.now());
  }
  processes_.push_back(
      {.id = id, .role = role, .child = std::move(*child), .link = std::move(link)});
}

/// Returns what a new child is told, and makes the channel of a runner.
result<host_message> process_device::greeting(host_id, host_role role,
                                              std::shared_ptr<runner_link>& link) {
  const auto trouble = start_.point.fire();
  if (trouble.what == kind::fail) return error{ec::unavailable, "injected fault at " + start_.name};
  host_hello hello{.role = role,
                   .gpu = options_.gpu,
                   .name = options_.name,
                   .streams = options_.streams,
                   .vram_safety_margin = options_.vram_safety_margin,
                   .cpu_threads = options_.cpu_threads,
                   .held_bytes = residents_.bytes(),
                   .slots = std::min(2 * options_.streams + 4, host_segment::most_slots),
                   .slot_bytes = slot_bytes,
                   .exits_at_once = trouble.what == kind::exit,
                   .never_ready = trouble.what == kind::hang};
  auto message = to_message(hello);
  if (role == host_role::owner) return message;
  auto runner_event = make_event();
  auto sender_event = wake_.duplicate();
  if (!runner_event) return std::move(runner_event).error();
  if (!sender_event) return std::move(sender_event).error();
  auto channel = host_channel::create(hello.slots, hello.slot_bytes, std::move(*runner_event),
                                      std::move(*sender_event));
  if (!channel) return std::move(channel).error();
  auto to_runner = channel->runner_event().duplicate();
  auto to_sender = channel->sender_event().duplicate();
  auto memory = channel->share_memory();
  if (!to_runner || !to_sender || !memory)
    return error{ec::unavailable, "there are too many open files"};
  message.fds.push_back(std::move(*memory));
  message.fds.push_back(std::move(*to_runner));
  message.fds.push_back(std::move(*to_sender));
  link = std::make_shared<runner_link>(std::move(*channel));
  return message;
}

void process_device::kill(host_id id, std::string_view cause) {
  auto* process = find(id);
  if (!process) return;
  process->trouble = cause;
  process->is_killed = true;
  process->child.kill();
}

void process_device::give_batches_to(host_id id) {
  const auto* process = find(id);
  {
    const std::lock_guard lock(mutex_);
    serving_ = process->link;
    served_ = process->attached;
  }
  update_list();
  dispatch_waiting();
}

/// The runner that served does so no longer: says so and fails what it had.
void process_device::lose(host_id id, std::string_view cause) {
  auto* process = find(id);
  {
    const std::lock_guard lock(mutex_);
    serving_ = nullptr;
    served_.clear();
  }
  update_list(); // before anybody hears of it
  const auto why = process->trouble.empty() ? std::string{cause} : process->trouble;
  tell(device_event::kind::lost, cause,
       options_.name + " lost its runner (process " + std::to_string(process->child.pid()) +
           "): " + why);
  // What it had ended before counts.
  while (auto ended = process->link->next_ended())
    end(std::move(ended->job), std::move(ended->outcome));
  for (auto& job : process->link->close())
    fail(job, fault_class::sticky, options_.name + " lost its runner: " + why);
  dispatch_waiting();
}

/// A child has ended or is about to; its like is started.
void process_device::bury(host_process& process, std::string_view cause) {
  if (std::exchange(process.is_gone, true)) return;
  policy_.on_death(process.id, cause, clock_.now());
  act();
  if (process.role == host_role::owner) owner_is_asked_ = false;
}

bool process_device::look_for_the_dead() {
  for (auto& process : processes_)
    // The socket of a process that was killed closes long before its GPU's context is gone.
    if (!process.is_gone && (process.is_silent || process.child.has_ended())) {
      hear(process); // it may have said why
      if (process.trouble.empty()) process.trouble = "its process ended";
      bury(process, process.greeted ? "exit" : "start");
    }
  return std::erase_if(processes_, [](const host_process& each) {
           return each.is_gone && each.child.has_ended();
         }) > 0;
}

void process_device::hear(host_process& process) {
  while (auto message = receive(process.child.socket(), false, process.is_silent))
    if (!process.is_gone) on_message(process, *message);
}

void process_device::on_message(host_process& process, host_message& message) {
  if (message.kind == host_message_kind::published || message.kind == host_message_kind::attached ||
      message.kind == host_message_kind::retired)
    process.used_bytes = message.numbers[used_place];
  switch (message.kind) {
  case host_message_kind::ready:
    return on_ready(process, message);
  case host_message_kind::failed:
    process.trouble = message.text;
    return complain(message.text);
  case host_message_kind::published:
    return on_published(message);
  case host_message_kind::attached:
    return on_attach_answer(process, message);
  case host_message_kind::refused:
    if (process.role == host_role::runner) return on_attach_answer(process, message);
    owner_is_asked_ = false;
    return end_publication(error{static_cast<ec>(message.numbers[0]), message.text});
  case host_message_kind::hello:
  case host_message_kind::publish:
  case host_message_kind::attach:
  case host_message_kind::retire:
  case host_message_kind::retired:
    break;
  }
  update_list();
}

void process_device::on_ready(host_process& process, const host_message& message) {
  process.greeted = true;
  const auto facts = to_ready(message);
  process.used_bytes = facts.used_bytes;
  if (process.role == host_role::owner) {
    const std::lock_guard lock(mutex_);
    budget_bytes_ = facts.budget_bytes;
    if (info_.model.empty())
      info_ = {options_.name,
               options_.gpu.starts_with("sim:") ? device_kind::simulated : device_kind::cuda,
               facts.model,
               facts.memory_bytes,
               options_.streams,
               facts.pci_bus_id};
  }
  if (process.role == host_role::runner)
    for (const auto key : residents_.keys())
      attach(process, key);
  if (process.asked.empty()) {
    process.is_ready = true;
    policy_.on_ready(process.id, clock_.now());
  }
  act();
  if (process.role == host_role::owner) ask_owner();
  opened_.notify_all();
}

/// A child process could not be started, or cannot use the GPU.
void process_device::complain(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (first_trouble_.empty()) first_trouble_ = why;
  }
  tell(device_event::kind::note, "start", options_.name + " cannot start a child process: " + why);
  opened_.notify_all();
}

void process_device::tell(device_event::kind what, std::string_view cause, std::string message) {
  device_listener listener;
  {
    const std::lock_guard lock(mutex_);
    listener = listener_;
  }
  if (listener) listener({what, std::string{cause}, std::move(message)});
}

host_process* process_device::find(host_id id) {
  const auto found = std::ranges::find(processes_, id, &host_process::id);
  return found == processes_.end() ? nullptr : &*found;
}

void process_device::update_list() {
  std::vector<device_process> list;
  std::uint64_t used = 0;
  for (const auto& process : processes_) {
    if (process.is_gone || process.is_killed) continue;
    used += process.role == host_role::owner ? 0 : process.used_bytes;
    const bool standby = process.role == host_role::runner && process.id != policy_.serving();
    list.push_back({standby ? (process.is_ready ? "standby" : "starting")
                            : std::string{to_string(process.role)},
                    process.child.pid()});
  }
  used_bytes_ = used + residents_.bytes();
  const std::lock_guard lock(mutex_);
  process_list_ = std::move(list);
  settled_at_ = policy_.settled_at();
}

// -- datasets --

result<void> process_device::publish(const dataset_ptr& data) {
  if (auto fault = injected_fault(faults_.upload.name, faults_.upload.point.fire()))
    return error{fault->kind == fault_class::oom ? ec::resource_exhausted : ec::unavailable,
                 options_.name + " could not take the dataset: " + fault->message};
  const std::lock_guard one_at_a_time(publishing_);
  if (is_resident(data->key)) return {};
  // The owner counts exactly; this spares copying what cannot fit.
  const auto memory = budget();
  const auto free = memory.budget_bytes - std::min(memory.budget_bytes, memory.used_bytes);
  if (data->resident_bytes() > free)
    return error{ec::resource_exhausted,
                 no_room(options_.name, "dataset " + describe(*data), data->resident_bytes(), free,
                         memory.budget_bytes)};
  auto content = copy_content(*data);
  if (!content) return std::move(content).error();
  auto wanted = std::make_shared<publication>(data, std::move(*content));
  auto outcome = wanted->outcome.get_future();
  at(clock_.now(), [this, wanted] { begin_publication(wanted); });
  return outcome.get();
}

void process_device::retire(std::uint64_t key) {
  at(clock_.now(), [this, key] { forget(key); });
}

void process_device::begin_publication(std::shared_ptr<publication> wanted) {
  if (residents_.find(wanted->data->key)) return wanted->outcome.set_value({});
  wanted->give_up = patience_for(*wanted->data) + options_.limits.start_timeout;
  publications_.push_back(std::move(wanted));
  ask_owner();
}

void process_device::ask_owner() {
  const auto owner = policy_.owner();
  if (publications_.empty() || owner_is_asked_ || !owner) return;
  auto* process = find(*owner);
  const auto& wanted = *publications_.front();
  host_message message;
  message.kind = host_message_kind::publish;
  put_outline(*wanted.data, message);
  if (auto content = wanted.content.share()) message.fds.push_back(std::move(*content));
  process->asked[wanted.data->key] = patience_for(*wanted.data);
  owner_is_asked_ = send(process->child.socket(), message);
}

void process_device::on_published(host_message& message) {
  owner_is_asked_ = false;
  if (auto* owner = policy_.owner() ? find(*policy_.owner()) : nullptr)
    owner->asked.erase(message.key);
  if (publications_.empty() || publications_.front()->data->key != message.key) return;
  const auto& wanted = *publications_.front();
  const auto& resident = residents_.add(wanted.data, message);
  uploaded_bytes_ += resident.bytes;
  for (auto& process : processes_)
    if (process.role == host_role::runner && process.greeted && !process.is_gone)
      attach(process, message.key);
  if (!policy_.serving()) end_publication({});
}

void process_device::attach(host_process& runner, std::uint64_t key) {
  const auto* resident = residents_.find(key);
  runner.asked[key] = patience_for(*resident->data);
  send(runner.child.socket(), resident->attach_message());
}

void process_device::on_attach_answer(host_process& runner, const host_message& message) {
  runner.asked.erase(message.key);
  const bool attached = message.kind == host_message_kind::attached && residents_.find(message.key);
  if (attached) runner.attached.insert(message.key);
  if (runner.id == policy_.serving()) {
    if (attached) {
      const std::lock_guard lock(mutex_);
      served_.insert(message.key);
    }
    if (!publications_.empty() && publications_.front()->data->key == message.key) {
      if (attached) {
        end_publication({});
      } else {
        end_publication(error{static_cast<ec>(message.numbers[0]), message.text});
        forget(message.key);
      }
    }
  }
  if (!runner.is_ready && runner.greeted && runner.asked.empty()) {
    runner.is_ready = true;
    policy_.on_ready(runner.id, clock_.now());
    act();
    opened_.notify_all();
  }
}

void process_device::end_publication(result<void> outcome) {
  if (publications_.empty()) return;
  const auto ended = std::move(publications_.front());
  publications_.pop_front();
  ended->outcome.set_value(std::move(outcome));
  ask_owner();
}

void process_device::forget(std::uint64_t key) {
  if (!residents_.remove(key)) return;
  {
    const std::lock_guard lock(mutex_);
    served_.erase(key);
  }
  host_message message;
  message.kind = host_message_kind::retire;
  message.key = key;
  for (auto& process : processes_) {
    process.attached.erase(key);
    if (!process.is_gone && process.greeted) send(process.child.socket(), message);
  }
}

time_point process_device::patience_for(const dataset& data) const {
  return clock_.now() + dataset_patience +
         from_seconds(static_cast<double>(data.resident_bytes()) / least_bytes_per_second);
}

/// A child that does not answer for a dataset is killed; a publication that nobody can do fails.
void process_device::look_for_the_slow() {
  const auto now = clock_.now();
  for (auto& process : processes_)
    if (!process.is_gone && std::ranges::any_of(process.asked, [now](const auto& each) {
          return each.second <= now;
        })) {
      process.asked.clear();
      kill(process.id, "hung");
    }
  if (!publications_.empty() && publications_.front()->give_up <= now)
    end_publication(error{ec::unavailable, options_.name + " could not take the dataset in time."});
}

// -- life --

result<void> process_device::open() {
  auto wake = make_event();
  if (!wake) return std::move(wake).error();
  wake_ = std::move(*wake);
  thread_ = std::thread([this] { serve(); });
  std::unique_lock lock(mutex_);
  const auto can_serve = [this] { return !info_.model.empty() && serving_; };
  const auto until = clock_.now() + options_.limits.start_timeout;
  while (!can_serve() && first_trouble_.empty() && clock_.now() < until)
    opened_.wait_for(lock, 5ms);
  if (can_serve()) return {};
  return error{ec::unavailable, first_trouble_.empty()
                                    ? options_.name + " cannot be used: no child process of " +
                                          options_.program + " became ready in time."
                                    : first_trouble_};
}

process_device::~process_device() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  signal_event(wake_.get());
  if (thread_.joinable()) thread_.join();
  for (const auto& left : publications_)
    left->outcome.set_value(error{ec::shutting_down, options_.name + " is ending."});
}

} // namespace

result<std::unique_ptr<device>> make_process_device(process_device_options options,
                                                    fault_points& faults,
                                                    const clock_source& clock) {
  auto made = std::make_unique<process_device>(std::move(options), faults, clock);
  if (auto opened = made->open(); !opened) return std::move(opened).error();
  return std::unique_ptr<device>{std::move(made)};
}

result<int> count_cuda_gpus(const std::string& program) {
  auto child = host_child::start(program);
  if (!child) return std::move(child).error();
  bool closed = false;
  host_hello question;
  question.gpu = all_cuda_gpus;
  if (send(child->socket(), to_message(question))) {
    if (const auto found = receive(child->socket(), true, closed)) {
      if (found->kind == host_message_kind::failed) return error{ec::unavailable, found->text};
      return static_cast<int>(found->numbers[0]);
    }
  }
  return error{ec::unavailable, program + " ended without saying which GPUs there are."};
}

} // namespace engram
