#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/restart_policy.hpp"

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace engram {

struct host_limits {
  bool standby = true; ///< keep a second runner ready
  duration hang_timeout = std::chrono::seconds{1};
  /// With a standby ready, a runner is replaced once its oldest batch has taken longer than this
  /// and than `late_factor` times what was predicted for all that it has: the driver tells of a
  /// dead context a tenth of a second and more after its death.
  duration late_timeout = std::chrono::milliseconds{20};
  double late_factor = 4;
  /// How long a process that has just started may still keep the GPU from others, and how long the
  /// next one waits while a runner takes over.
  duration settling = std::chrono::milliseconds{100};
  duration start_timeout = std::chrono::seconds{20};
  restart_limits crashes; ///< of the owner and of the runners, each
};

enum class host_role : std::uint8_t {
  owner, ///< allocates resident data and runs nothing
  runner ///< runs batches on the owner's data
};
std::string_view to_string(host_role role) noexcept;

/// Number of a child process, ascending, never used twice.
using host_id = std::uint64_t;

/// Decides which child processes of one GPU run, which runner serves, and what follows a death.
///
///   runner: starting --(ready)--> standing by --(no other serves)--> serving
///   any:    --(death, or killed: hung, not ready in time)--> gone; its like is started again after
///           a back-off
///
/// Too many deaths within a period are a crash loop: starts wait as long as they may, and the
/// device does not call itself restored, so that its breaker decides when to try it. Told the time;
/// no clock, no threads, no processes.
class host_policy {
public:
  explicit host_policy(host_limits limits);

  struct action {
    enum class kind : std::uint8_t {
      start,    ///< start a process of `role` as number `id`
      kill,     ///< end process `id` for `cause`
      serve,    ///< runner `id` gets the batches from now on
      lost,     ///< nobody serves any more, or not the one who did: fail what it had, for `cause`
      restored, ///< the device can prove itself again
    };
    kind what = kind::start;
    host_role role = host_role::runner;
    host_id id = 0;
    std::string_view cause = {}; ///< one word, a literal
  };

  /// Starts the first processes.
  void begin(time_point now);
  /// A process can work now: an owner takes datasets, a runner has what there is of them.
  void on_ready(host_id id, time_point now);
  /// A process ended, or could not be started. `cause`: a literal, "sticky", "exit", "killed".
  void on_death(host_id id, std::string_view cause, time_point now);
  /// Since when the serving runner has had the oldest batch that it has not ended (nothing: it has
  /// none), and what was predicted for all that it has (zero: not known).
  void on_oldest_batch(std::optional<time_point> since, duration predicted = {}) {
    oldest_batch_ = since;
    predicted_ = predicted;
  }
  /// Call at or after `timer()`.
  void on_timer(time_point now);
  std::optional<time_point> timer() const noexcept;

  /// Returns what is to be done now, in this order.
  std::vector<action> take_actions();

  bool is_busy() const noexcept { return oldest_batch_.has_value(); }
  std::optional<host_id> serving() const noexcept { return serving_; }
  std::optional<host_id> owner() const noexcept;
  bool has_standby() const noexcept;
  /// Returns when the last process that became ready no longer disturbs the others.
  time_point settled_at() const noexcept { return last_ready_ + limits_.settling; }
  bool in_crash_loop() const noexcept { return crash_loop_; }

private:
  struct process {
    host_id id = 0;
    host_role role = host_role::runner;
    bool ready = false;
    bool killed = false; ///< its death is on the way
    time_point start_by{};
  };
  struct start_due {
    host_role role;
    time_point when;
  };

  process* find(host_id id) noexcept;
  void plan_start(host_role role, std::optional<duration> wait, time_point now);
  void start_what_is_due(time_point now);
  void kill(process& which, std::string_view cause);
  void lose(std::string_view cause);
  void choose_serving();
  std::optional<time_point> give_up_at() const noexcept;
  std::size_t wanted_runners() const noexcept { return limits_.standby ? 2 : 1; }

  host_limits limits_;
  restart_policy owner_crashes_, runner_crashes_;
  std::vector<process> processes_;
  std::vector<start_due> planned_;
  std::vector<action> actions_;
  std::optional<host_id> serving_;
  std::optional<time_point> oldest_batch_;
  duration predicted_{};
  time_point last_ready_{}; ///< of a runner
  bool lost_ = false;       ///< said so, and not restored since
  bool crash_loop_ = false;
  time_point last_runner_death_{};
  host_id last_id_ = 0;
};

} // namespace engram
