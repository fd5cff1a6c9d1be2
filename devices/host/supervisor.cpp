#include "engram/devices/host/supervisor.hpp"

#include <utility>

namespace engram {

using namespace std::chrono_literals;

host_supervisor::host_supervisor(const process_device_options& options, const clock_source& clock,
                                 host_processes& processes, host_batches& batches)
    : options_(options), clock_(clock), processes_(processes), batches_(batches),
      policy_(options.limits), datasets_(options, clock, policy_, processes, batches) {}

void host_supervisor::begin() {
  policy_.begin(clock_.now());
}

// -- what the policy says --

void host_supervisor::act() {
  for (auto actions = policy_.take_actions(); !actions.empty(); actions = policy_.take_actions())
    for (const auto& action : actions)
      switch (action.what) {
      case host_policy::action::kind::start:
        start(action.id, action.role);
        break;
      case host_policy::action::kind::kill:
        processes_.kill(action.id, action.cause);
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

void host_supervisor::start(host_id id, host_role role) {
  const auto started = processes_.start(id, role, datasets_.bytes());
  if (started) return;
  complain(started.error().message);
  policy_.on_death(id, "start", clock_.now());
}

void host_supervisor::give_batches_to(host_id id) {
  const auto* process = processes_.find(id);
  datasets_.on_serving(*process);
  update_list();
  batches_.dispatch_waiting();
}

/// The runner that served does so no longer: says so and fails what it had.
void host_supervisor::lose(host_id id, std::string_view cause) {
  const auto* process = processes_.find(id);
  batches_.end_serving();
  update_list(); // before anybody hears of it
  const auto why = process->trouble.empty() ? std::string{cause} : process->trouble;
  tell(device_event::kind::lost, cause,
       options_.name + " lost its runner (process " + std::to_string(process->child.pid()) +
           "): " + why);
  batches_.settle(*process->link, why);
  batches_.dispatch_waiting();
}

/// A GPU may run nothing for a while after one of its contexts was lost: whoever hears `restored`
/// may count on answers.
void host_supervisor::call_restored_once_it_answers() {
  batches_.run_probe([this](const run_outcome& outcome) {
    if (!outcome.fault)
      tell(device_event::kind::restored, "standby", options_.name + " serves again");
  });
}

result<void> host_supervisor::room_for(const dataset& data) {
  update_list();
  return datasets_.room_for(data, budget());
}

// -- what becomes of the processes --

bool host_supervisor::collect() {
  bool any = false;
  for (auto& process : processes_) {
    if (!process.link || process.is_gone) continue;
    if (batches_.collect(*process.link)) any = true;
    if (bury_if_lost(process)) any = true;
  }
  if (any) batches_.dispatch_waiting();
  return any;
}

bool host_supervisor::look_for_the_late(time_point now) {
  const auto load = batches_.load();
  policy_.on_oldest_batch(load.oldest, load.predicted);
  datasets_.look_for_the_slow();
  const auto timer = policy_.timer();
  if (!timer || *timer > now) return false;
  policy_.on_timer(now);
  return true;
}

void host_supervisor::on_news(const host_processes::news& news) {
  for (auto* process : news.talkative)
    hear(*process);
  look_for_the_dead();
}

/// Returns true if `process` is a runner that says that it is lost, which is about to end, or one
/// that is not to be believed any more, which is killed.
bool host_supervisor::bury_if_lost(host_process& process) {
  if (!process.link) return false;
  if (process.link->is_lost()) {
    process.trouble = process.link->loss();
    bury(process, "sticky");
    return true;
  }
  if (process.link->is_broken()) {
    processes_.kill(process.id, "broken");
    process.trouble = "it says that it has ended more batches than it can have";
    bury(process, "broken");
    return true;
  }
  return false;
}

void host_supervisor::look_for_the_dead() {
  for (auto& process : processes_)
    // The socket of a process that was killed closes long before its GPU's context is gone.
    if (!process.is_gone && (process.is_silent || process.child.has_ended())) {
      // It may have said why, either way, just before it ended.
      if (bury_if_lost(process)) continue;
      hear(process);
      if (process.trouble.empty()) {
        process.trouble = "its process ended";
        if (!process.greeted) note_trouble(processes_.ended_early());
      }
      bury(process, process.greeted ? "exit" : "start");
    }
  processes_.bury_the_ended();
}

/// A child has ended or is about to; its like is started.
void host_supervisor::bury(host_process& process, std::string_view cause) {
  if (std::exchange(process.is_gone, true)) return;
  policy_.on_death(process.id, cause, clock_.now());
  act();
  if (process.role == host_role::owner) datasets_.on_owner_gone();
}

// -- what the processes say --

void host_supervisor::hear(host_process& process) {
  while (auto message = process.next_message())
    if (!process.is_gone) on_message(process, *message);
}

void host_supervisor::on_message(host_process& process, host_message& message) {
  if (message.kind == host_message_kind::published || message.kind == host_message_kind::attached ||
      message.kind == host_message_kind::retired)
    process.used_bytes = message.numbers[used_place];
  switch (message.kind) {
  case host_message_kind::ready:
    return on_greeting(process, message);
  case host_message_kind::failed:
    process.trouble = message.text;
    return complain(message.text);
  case host_message_kind::published:
    return datasets_.on_published(process, message);
  case host_message_kind::refused:
    if (process.role == host_role::owner) return datasets_.on_publication_refused(process, message);
    [[fallthrough]];
  case host_message_kind::attached:
    datasets_.on_attach_answer(process, message);
    return tell_policy_if_ready(process);
  case host_message_kind::hello:
  case host_message_kind::publish:
  case host_message_kind::attach:
  case host_message_kind::retire:
  case host_message_kind::retired:
    break;
  }
  update_list();
}

void host_supervisor::on_greeting(host_process& process, const host_message& message) {
  process.greeted = true;
  const auto facts = to_ready(message);
  process.used_bytes = facts.used_bytes;
  if (process.role == host_role::owner)
    on_owner_facts(facts);
  else
    datasets_.on_runner_greeted(process);
  tell_policy_if_ready(process);
  if (process.role == host_role::owner) datasets_.on_owner_ready();
}

void host_supervisor::on_owner_facts(const host_ready& facts) {
  const std::lock_guard lock(mutex_);
  budget_bytes_ = facts.budget_bytes;
  if (!info_.model.empty()) return;
  info_ = {options_.name,
           options_.gpu.starts_with("sim:") ? device_kind::simulated : device_kind::cuda,
           facts.model,
           facts.memory_bytes,
           options_.streams,
           facts.pci_bus_id};
}

/// A process can work once it has greeted and has answered for every dataset.
void host_supervisor::tell_policy_if_ready(host_process& process) {
  if (process.is_ready || !process.greeted || !process.asked.empty()) return;
  process.is_ready = true;
  policy_.on_ready(process.id, clock_.now());
  act();
  opened_.notify_all();
}

// -- what others hear and see --

/// A child process could not be started, or cannot use the GPU.
void host_supervisor::complain(const std::string& why) {
  tell(device_event::kind::note, "start", options_.name + " cannot start a child process: " + why);
  note_trouble(why);
}

/// Ends the wait for a first runner: what a first child cannot do is mostly a wrong path or a wrong
/// driver. Later it is no error.
void host_supervisor::note_trouble(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (first_trouble_.empty()) first_trouble_ = why;
  }
  opened_.notify_all();
}

void host_supervisor::tell(device_event::kind what, std::string_view cause, std::string message) {
  device_listener listener;
  {
    const std::lock_guard lock(mutex_);
    listener = listener_;
  }
  if (listener) listener({what, std::string{cause}, std::move(message)});
}

void host_supervisor::listen(device_listener listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

void host_supervisor::update_list() {
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
  used_bytes_ = used + datasets_.bytes();
  const std::lock_guard lock(mutex_);
  process_list_ = std::move(list);
  settled_at_ = policy_.settled_at();
}

std::vector<device_process> host_supervisor::processes() const {
  const std::lock_guard lock(mutex_);
  auto list = process_list_;
  if (clock_.now() < settled_at_)
    for (auto& each : list)
      if (each.role == "standby") each.role = "starting";
  return list;
}

result<void> host_supervisor::wait_until_usable() {
  std::unique_lock lock(mutex_);
  const auto can_serve = [this] { return !info_.model.empty() && batches_.serving(); };
  const auto until = clock_.now() + options_.limits.start_timeout;
  while (!can_serve() && first_trouble_.empty() && clock_.now() < until)
    opened_.wait_for(lock, 5ms);
  if (can_serve()) return {};
  return error{ec::unavailable, first_trouble_.empty()
                                    ? options_.name + " cannot be used: no child process of " +
                                          options_.program + " became ready in time."
                                    : first_trouble_};
}

} // namespace engram
