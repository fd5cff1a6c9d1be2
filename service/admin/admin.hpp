#pragma once

#include "engram/actors/answer.hpp"
#include "engram/base/error.hpp"
#include "engram/config/load.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/pipeline/pipeline.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram {

/// Who asks for something that is audited.
struct admin_caller {
  std::string peer;     ///< "127.0.0.1" or "127.0.0.1:40312"
  std::string identity; ///< name of the token, or subject of the certificate; empty without either
};

/// What only the daemon can do, lent to the admin API. Each is called from any thread.
struct admin_controls {
  /// Why nobody may steer this daemon; empty where they may.
  std::string closed{};
  /// Reads the configuration again: whole or not at all.
  std::function<result<std::vector<key_change>>()> reload{};
  /// Makes the daemon refuse what is new, answer what it has, and end. Returns at once; a second
  /// call changes nothing.
  std::function<void()> drain{};
  /// Loads a dataset of the store, "wordnet" or "wordnet@3", and publishes it. May take seconds.
  std::function<result<dataset_ptr>(const std::string& reference)> publish{};
  std::function<std::string()> log_level{};
  std::function<result<void>(const std::string& level)> set_log_level{};
  /// Writes one line into the log, whatever its level is.
  std::function<void(const std::string& line)> audit{};
};

/// What a drain found.
struct drain_state {
  std::uint64_t in_flight = 0;
};

/// A dataset version that was dropped.
struct dropped_dataset {
  std::string name;
  std::uint64_t version = 0;
};

/// What may be done to a running daemon from outside, the same through every door. Whatever changes
/// something leaves one line in the log: what, by whom, and what came of it. Thread-safe.
class admin {
public:
  /// `pipe` must outlive this.
  admin(pipeline& pipe, admin_controls controls) : pipe_(pipe), controls_(std::move(controls)) {}

  /// Says that all is there that an action may touch. Until then the doors, which open before it
  /// is, refuse each call with `not_open_yet`.
  void open() noexcept { is_open_ = true; }
  bool is_open() const noexcept { return is_open_; }
  static error not_open_yet() {
    return {ec::unavailable, "Engram is still starting and cannot be steered yet: try again"};
  }

  /// Returns why nobody may use this; empty where they may. The doors ask before each call.
  const std::string& closed() const noexcept { return controls_.closed; }
  /// The same for fault points, which have a key of their own.
  std::string faults_closed() const;

  /// Returns what has changed. `invalid_argument` or `not_found` names what is wrong with the
  /// configuration, or the keys that need a restart; then nothing has changed.
  result<std::vector<key_change>> reload(const admin_caller& who);
  drain_state drain(const admin_caller& who);
  /// Returns the version that is served from now on. Blocks while it is read and uploaded.
  result<dataset_ptr> publish(const admin_caller& who, const std::string& reference);
  result<dropped_dataset> drop(const admin_caller& who, const std::string& name);
  /// `word` is a name of breaker_override; see pipeline::override_breaker. Returns the device.
  result<device_health> override_breaker(const admin_caller& who, const std::string& device,
                                         const std::string& word);
  std::string log_level() const { return controls_.log_level(); }
  result<void> set_log_level(const admin_caller& who, const std::string& level);

  std::vector<fault_points::site_info> faults() const { return pipe_.faults(); }
  result<void> arm_faults(const admin_caller& who, std::span<const std::string> settings);
  void disarm_faults(const admin_caller& who);

  /// Leaves a line for a call that was refused before it came here.
  void note_refusal(const admin_caller& who, std::string_view what, const error& why) const;

private:
  void note(const admin_caller& who, std::string_view what, std::string_view outcome) const;
  /// Leaves the line of `what` and returns `outcome`.
  template <class T>
  T noted(const admin_caller& who, std::string_view what, T outcome,
          std::string_view done = "done") const;

  pipeline& pipe_;
  const admin_controls controls_;
  std::atomic<bool> is_open_{false};
};

} // namespace engram
