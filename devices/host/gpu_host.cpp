#include "engram/devices/host/gpu_host.hpp"

#include "engram/devices/fault_points.hpp"
#include "engram/devices/host/backend.hpp"
#include "engram/devices/host/batch_codec.hpp"
#include "engram/devices/host/channel.hpp"
#include "engram/devices/host/child.hpp"
#include "engram/devices/host/content.hpp"
#include "engram/devices/host/spin.hpp"
#include "engram/devices/host/warm_up.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace engram {

namespace {

/// The descriptors of an attached dataset, by place in the message.
resident_memory take_memory(host_message& message) {
  resident_memory memory;
  for (std::size_t i = 0; i < message.fds.size() && i < most_parts; ++i)
    memory.parts.push_back({std::move(message.fds[i]), message.numbers[i]});
  memory.detail = message.numbers[detail_place];
  return memory;
}

host_message refusal(std::uint64_t key, const error& why) {
  host_message out;
  out.kind = host_message_kind::refused;
  out.key = key;
  out.numbers[0] = static_cast<std::uint64_t>(why.code);
  out.text = why.message;
  return out;
}

host_message reply(host_message_kind kind, std::uint64_t key, std::uint64_t used_bytes) {
  host_message out;
  out.kind = kind;
  out.key = key;
  out.numbers[used_place] = used_bytes;
  return out;
}

bool say_failed(const error& why) {
  host_message out;
  out.kind = host_message_kind::failed;
  out.text = why.message;
  return send(host_socket_fd, out);
}

// -- the owner --

result<host_message> hold(memory_owner& owner, host_message& asked) {
  if (asked.fds.empty()) return error{ec::invalid_argument, "A dataset came without its content."};
  auto content = asked.fds[0].duplicate();
  if (!content) return std::move(content).error();
  auto mapped = shared_memory::map(std::move(*content), false);
  if (!mapped) return std::move(mapped).error();
  const auto data = take_outline(asked, std::make_shared<const shared_memory>(std::move(*mapped)));
  if (!data) return data.error();
  auto memory = owner.hold(*data, asked.fds[0]);
  if (!memory) return std::move(memory).error();
  auto out = reply(host_message_kind::published, asked.key, owner.used_bytes());
  for (std::size_t i = 0; i < memory->parts.size(); ++i) {
    out.numbers[i] = memory->parts[i].bytes;
    out.fds.push_back(std::move(memory->parts[i].handle));
  }
  out.numbers[detail_place] = memory->detail;
  return out;
}

int own(memory_owner& owner) {
  if (!send(host_socket_fd, to_message(owner.facts()))) return host_exit_fine;
  bool closed = false;
  while (auto asked = receive(host_socket_fd, true, closed)) {
    if (asked->kind == host_message_kind::publish) {
      auto held = hold(owner, *asked);
      if (held)
        send(host_socket_fd, *held);
      else
        send(host_socket_fd, refusal(asked->key, held.error()));
      if (owner.is_lost()) return host_exit_lost;
    } else if (asked->kind == host_message_kind::retire) {
      owner.let_go(asked->key, asked->numbers[0]);
      send(host_socket_fd, reply(host_message_kind::retired, asked->key, owner.used_bytes()));
    }
  }
  return host_exit_fine;
}

// -- a runner --

class runner {
public:
  runner(const host_hello& hello, host_channel channel)
      : hello_(hello), channel_(std::move(channel)) {}

  result<void> open() {
    auto made = open_runner(hello_, faults_);
    if (!made) return std::move(made).error();
    device_ = std::move(*made);
    for (std::uint32_t slot = 0; slot < channel_.slots(); ++slot)
      device_->pin(channel_.payload(slot).first(std::min(pinned_bytes, channel_.slot_bytes())));
    return {};
  }

  /// Works until the other end is gone, and with it this process.
  [[noreturn]] void serve() {
    if (!say_ready()) _exit(host_exit_fine);
    // Attaching takes its time, and batches shall not wait for it.
    std::thread([this] { listen(); }).detach();
    for (;;) {
      const auto seen = channel_.head().to_runner.rings();
      while (const auto slot = channel_.next_submitted())
        begin(*slot);
      if (!spin_.until([&] { return channel_.head().to_runner.rings() != seen; })) sleep(seen);
    }
  }

private:
  bool say_ready() {
    const auto& info = device_->info();
    return send(host_socket_fd, to_message(host_ready{info.model, info.pci_bus_id,
                                                      info.memory_bytes, 0, device_->own_bytes()}));
  }

  // -- batches --

  void begin(std::uint32_t number) {
    spin_.restart();
    auto& slot = channel_.slot(number);
    if (slot.at_start.what != fault_action::kind::none && make_trouble(number, slot.at_start))
      return;
    auto batch = read_batch(channel_.payload(number).first(slot.in_bytes),
                            [this](std::uint64_t key) { return find(key); });
    if (!batch) return end(number, transient("the batch names a dataset that is not attached"));
    auto shared = std::make_shared<const work_batch>(std::move(*batch));
    device_->run(shared,
                 [this, number, shared](run_outcome outcome) { end(number, std::move(outcome)); });
  }

  /// Does what somebody ordered; true if the batch is not to be run any more.
  bool make_trouble(std::uint32_t number, const fault_action& action) {
    switch (action.what) {
    case fault_action::kind::exit:
      raise(SIGKILL);
      break;
    case fault_action::kind::hang:
      return true;
    case fault_action::kind::misbehave:
      // The device does it for real, with the next batch that it launches.
      static_cast<void>(faults_.arm(hello_.name + ".launch=1*cuda(" +
                                    std::string{to_string(action.misdeed)} + ')'));
      break;
    case fault_action::kind::fail: {
      run_outcome outcome;
      outcome.fault =
          device_fault{action.fault, "injected fault in " + hello_.name + "'s runner", true};
      end(number, std::move(outcome));
      return true;
    }
    case fault_action::kind::none:
    case fault_action::kind::delay:
    case fault_action::kind::corrupt:
      break;
    }
    return false;
  }

  static run_outcome transient(std::string why) {
    run_outcome outcome;
    outcome.fault = device_fault{fault_class::transient, std::move(why)};
    return outcome;
  }

  /// Writes what became of a batch. Called on the device's threads.
  void end(std::uint32_t number, run_outcome outcome) {
    auto& slot = channel_.slot(number);
    if (slot.at_end.what != fault_action::kind::none &&
        make_trouble(number, std::exchange(slot.at_end, {})))
      return;
    if (!outcome.fault) {
      const auto inputs = (slot.in_bytes + 63) / 64 * 64;
      const auto written = write_outputs(outcome.outputs, channel_.payload(number).subspan(inputs));
      if (written)
        slot.out_bytes = *written;
      else
        outcome.fault =
            device_fault{fault_class::oom, "the answers are larger than a batch's share of memory"};
    }
    slot.times = outcome.times;
    slot.failed = outcome.fault.has_value();
    if (outcome.fault) {
      const auto& fault = *outcome.fault;
      // This process never gets its GPU back: say so and make room for another one.
      if (is_loss(fault)) end_process(fault.message);
      slot.fault = fault.kind;
      slot.injected = fault.injected;
      slot.fault_message.set(fault.message);
    }
    channel_.complete(number);
    // The next batch often follows an answer: its bell shall find this process awake.
    if (spin_wait::is_worthwhile()) channel_.ring_runner();
  }

  [[noreturn]] void end_process(const std::string& why) {
    channel_.announce_loss(why);
    _exit(host_exit_lost);
  }

  // -- datasets --

  dataset_ptr find(std::uint64_t key) const {
    const std::lock_guard lock(mutex_);
    const auto found = attached_.find(key);
    return found == attached_.end() ? nullptr : found->second;
  }

  void attach(host_message& asked) {
    const auto attached = try_attach(asked);
    const auto answer = attached
                            ? reply(host_message_kind::attached, asked.key, device_->own_bytes())
                            : refusal(asked.key, attached.error());
    if (!attached && device_->is_lost()) end_process(attached.error().message);
    send(host_socket_fd, answer);
  }

  result<void> try_attach(host_message& asked) {
    auto memory = take_memory(asked);
    std::shared_ptr<const shared_memory> content;
    if (needs_content(hello_)) {
      if (memory.parts.empty())
        return error{ec::invalid_argument, "A dataset came without memory."};
      auto handle = memory.parts[0].handle.duplicate();
      if (!handle) return std::move(handle).error();
      auto mapped = shared_memory::map(std::move(*handle), false);
      if (!mapped) return std::move(mapped).error();
      content = std::make_shared<const shared_memory>(std::move(*mapped));
    }
    auto data = take_outline(asked, std::move(content));
    if (!data) return std::move(data).error();
    if (auto taken = device_->attach(*data, memory); !taken) return taken;
    {
      const std::lock_guard lock(mutex_);
      attached_[asked.key] = *data;
    }
    return warm_up(*device_, *data);
  }

  [[noreturn]] void listen() {
    bool closed = false;
    while (auto asked = receive(host_socket_fd, true, closed)) {
      if (asked->kind == host_message_kind::attach) {
        attach(*asked);
      } else if (asked->kind == host_message_kind::retire) {
        device_->retire(asked->key);
        {
          const std::lock_guard lock(mutex_);
          attached_.erase(asked->key);
        }
        send(host_socket_fd, reply(host_message_kind::retired, asked->key, device_->own_bytes()));
      }
    }
    _exit(host_exit_fine);
  }

  /// Sleeps until the bell rings.
  void sleep(std::uint32_t seen) {
    auto& bell = channel_.head().to_runner;
    if (!bell.fall_asleep(seen)) return;
    pollfd event{channel_.runner_event().get(), POLLIN, 0};
    const bool rung = poll(&event, 1, longest_sleep_ms) > 0;
    bell.wake_up();
    clear_event(channel_.runner_event().get());
    if (rung) spin_.restart();
  }

  // Of each slot, which takes as much memory: 512 queries of 1,024 numbers. What is larger is
  // copied once more.
  static constexpr std::size_t pinned_bytes = 2u << 20;
  static_assert(pinned_bytes <= host_channel::kept_bytes, "pinned pages are not given back");
  // A ring that got lost costs no more than this.
  static constexpr int longest_sleep_ms = 20;

  const host_hello hello_;
  host_channel channel_;
  fault_points faults_;
  std::unique_ptr<attached_device> device_; ///< calls `end`
  mutable std::mutex mutex_;
  std::map<std::uint64_t, dataset_ptr> attached_;
  spin_wait spin_;
};

int say_count() {
  const auto found = count_gpus();
  if (!found) return say_failed(found.error()) ? host_exit_fine : host_exit_unusable;
  host_message out;
  out.kind = host_message_kind::ready;
  out.numbers[0] = static_cast<std::uint64_t>(*found);
  return send(host_socket_fd, out) ? host_exit_fine : host_exit_unusable;
}

int run(const host_hello& hello, std::optional<host_channel> channel) {
  if (hello.role == host_role::owner) {
    auto owner = open_owner(hello);
    if (!owner) {
      say_failed(owner.error());
      return host_exit_unusable;
    }
    return own(**owner);
  }
  // Never destroyed: the process ends with batches on the way, which nobody waits for.
  auto* serving = new runner(hello, std::move(*channel));
  if (const auto opened = serving->open(); !opened) {
    say_failed(opened.error());
    return host_exit_unusable;
  }
  serving->serve();
}

} // namespace

int run_gpu_host() {
  // With the thread that started this process; the socket's end tells the rest.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_TIMERSLACK, 1UL);
  signal(SIGINT, SIG_IGN); // of a terminal: the pipeline's process says when to end
  bool closed = false;
  auto first = receive(host_socket_fd, true, closed);
  if (!first) return host_exit_fine;
  const auto hello = to_hello(*first);
  prctl(PR_SET_NAME, (hello.name + '-' + std::string{to_string(hello.role)}).c_str());
  if (hello.gpu == all_cuda_gpus) return say_count();
  if (hello.exits_at_once) return host_exit_lost;
  if (hello.never_ready) {
    while (receive(host_socket_fd, true, closed) || !closed) {
    }
    return host_exit_fine;
  }
  std::optional<host_channel> channel;
  if (hello.role == host_role::runner) {
    if (first->fds.size() != 3) return host_exit_unusable;
    auto joined = host_channel::join(std::move(first->fds[0]), hello.slots, hello.slot_bytes,
                                     std::move(first->fds[1]), std::move(first->fds[2]));
    if (!joined) {
      say_failed(joined.error());
      return host_exit_unusable;
    }
    channel = std::move(*joined);
  }
  return run(hello, std::move(channel));
}

} // namespace engram
