#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/fault_injection.hpp"
#include "engram/devices/host/child.hpp"
#include "engram/devices/host/hello.hpp"
#include "engram/devices/host/process_device.hpp"
#include "engram/devices/host/runner_link.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

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

  /// Returns what it has said; nothing if there is nothing more.
  std::optional<host_message> next_message() { return receive(child.socket(), false, is_silent); }
};

/// The child processes of one GPU, each with its socket and, for a runner, its channel. They end
/// with the thread that starts them, and that thread alone uses this.
class host_processes {
public:
  /// Runners wake the thread through `wake`. Adds the fault site "<name>.start".
  host_processes(const process_device_options& options, fault_points& faults,
                 const unique_fd& wake);

  /// Starts a process and tells it what it is; `held_bytes` of the GPU hold data already. The error
  /// says why there is none.
  result<void> start(host_id id, host_role role, std::uint64_t held_bytes);
  /// Returns one sentence about a process that has ended without a word.
  std::string ended_early() const;
  void kill(host_id id, std::string_view cause);
  host_process* find(host_id id);
  /// Forgets those that are gone and have ended.
  void bury_the_ended();
  void end_all();

  /// Returns a number that changes when a runner has something to say.
  std::uint32_t rings() const;

  struct news {
    bool woken = false;                   ///< through the event
    std::vector<host_process*> talkative; ///< there is something on their sockets
  };
  /// Sleeps until a process has something to say or ends, the event wakes the thread, or `longest`
  /// is over.
  news sleep(duration longest);

  // A process that is started during a walk is met at its end.
  auto begin() noexcept { return processes_.begin(); }
  auto end() noexcept { return processes_.end(); }
  auto begin() const noexcept { return processes_.begin(); }
  auto end() const noexcept { return processes_.end(); }

private:
  struct greeting {
    host_message message;
    std::shared_ptr<runner_link> link; ///< of a runner
  };
  result<greeting> greet(host_role role, std::uint64_t held_bytes) const;
  result<std::shared_ptr<runner_link>> open_channel(const host_hello& hello,
                                                    host_message& message) const;

  const process_device_options& options_;
  const fault_site start_;
  const unique_fd& wake_;
  std::list<host_process> processes_;
};

} // namespace engram
