#include "engram/devices/host/processes.hpp"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace engram {

namespace {

using namespace std::chrono_literals;
using kind = fault_action::kind;

// Virtual room for one batch: inputs and outputs. Only what is used takes memory.
constexpr std::size_t slot_bytes = 256u << 20;

} // namespace

host_processes::host_processes(const process_device_options& options, fault_points& faults,
                               const unique_fd& wake)
    : options_(options),
      start_(make_fault_site(faults, options.name, "start", "start of a child process",
                             {kind::fail, kind::hang, kind::exit})),
      wake_(wake) {}

result<void> host_processes::start(host_id id, host_role role, std::uint64_t held_bytes) {
  auto hello = greet(role, held_bytes);
  if (!hello) return std::move(hello).error();
  auto child = host_child::start(options_.program);
  if (!child) return std::move(child).error();
  if (!send(child->socket(), hello->message)) return error{ec::unavailable, ended_early()};
  processes_.push_back(
      {.id = id, .role = role, .child = std::move(*child), .link = std::move(hello->link)});
  return {};
}

std::string host_processes::ended_early() const {
  return options_.program + " gpu-host ended before it was ready for " + options_.name + '.';
}

/// Returns what a new child is told, with the channel of a runner.
result<host_processes::greeting> host_processes::greet(host_role role,
                                                       std::uint64_t held_bytes) const {
  const auto trouble = start_.point.fire();
  if (trouble.what == kind::fail) return error{ec::unavailable, "injected fault at " + start_.name};
  const host_hello hello{.role = role,
                         .gpu = options_.gpu,
                         .name = options_.name,
                         .streams = options_.streams,
                         .vram_safety_margin = options_.vram_safety_margin,
                         .cpu_threads = options_.cpu_threads,
                         .held_bytes = held_bytes,
                         .slots = std::min(2 * options_.streams + 4, host_segment::most_slots),
                         .slot_bytes = slot_bytes,
                         .exits_at_once = trouble.what == kind::exit,
                         .never_ready = trouble.what == kind::hang};
  greeting made{to_message(hello), nullptr};
  if (role == host_role::owner) return made;
  auto link = open_channel(hello, made.message);
  if (!link) return std::move(link).error();
  made.link = std::move(*link);
  return made;
}

/// Makes the channel of a runner and puts the runner's end of it into `message`.
result<std::shared_ptr<runner_link>> host_processes::open_channel(const host_hello& hello,
                                                                  host_message& message) const {
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
  return std::make_shared<runner_link>(std::move(*channel));
}

void host_processes::kill(host_id id, std::string_view cause) {
  auto* process = find(id);
  if (!process) return;
  process->trouble = cause;
  process->is_killed = true;
  process->child.kill();
}

host_process* host_processes::find(host_id id) {
  const auto found = std::ranges::find(processes_, id, &host_process::id);
  return found == processes_.end() ? nullptr : &*found;
}

void host_processes::bury_the_ended() {
  std::erase_if(processes_,
                [](const host_process& each) { return each.is_gone && each.child.has_ended(); });
}

void host_processes::end_all() {
  for (auto& each : processes_)
    each.child.kill();
  processes_.clear();
}

std::uint32_t host_processes::rings() const {
  std::uint32_t sum = 0;
  for (const auto& each : processes_)
    if (each.link && !each.is_gone) sum += each.link->rings();
  return sum;
}

host_processes::news host_processes::sleep(duration longest) {
  std::vector<pollfd> events{{wake_.get(), POLLIN, 0}};
  std::vector<host_process*> of;
  for (auto& process : processes_) {
    events.push_back({process.child.end_event(), POLLIN, 0});
    const bool listens = !process.is_gone && !process.is_silent;
    events.push_back({listens ? process.child.socket() : -1, POLLIN, 0});
    of.push_back(&process);
    if (process.link && !process.is_gone) {
      auto& bell = process.link->channel().head().to_sender;
      const auto now = bell.rings();
      // What came before this look is collected before the next sleep.
      if (process.link->has_news() || !bell.fall_asleep(now)) longest = 0ns;
    }
  }
  const auto left = std::max<duration>(longest, 0ns);
  const timespec patience{static_cast<time_t>(left / 1s), static_cast<long>((left % 1s).count())};
  ppoll(events.data(), events.size(), &patience, nullptr);
  for (auto& process : processes_)
    if (process.link) process.link->channel().head().to_sender.wake_up();
  news heard;
  if (events[0].revents) {
    clear_event(wake_.get());
    heard.woken = true;
  }
  for (std::size_t i = 0; i < of.size(); ++i)
    if (events[2 + 2 * i].revents) heard.talkative.push_back(of[i]);
  return heard;
}

} // namespace engram
