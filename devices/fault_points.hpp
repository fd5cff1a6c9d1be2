#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"
#include "engram/kernels/misbehaviour.hpp"

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

struct fault_setting;

/// What a fault point does when it fires.
struct fault_action {
  enum class kind : std::uint8_t { none, fail, delay, hang, exit, corrupt, misbehave };
  kind what = kind::none;
  fault_class fault = fault_class::transient; ///< of `fail`
  duration wait{};                            ///< of `delay`
  misbehaviour misdeed = misbehaviour::trap;  ///< of `misbehave`

  explicit operator bool() const noexcept { return what != kind::none; }
};

/// Returns the task's name in a setting: "return" for `fail`, "off" for `none`.
std::string_view to_string(fault_action::kind what) noexcept;

/// What a site can be told to do. Each can be told `off`.
class fault_tasks {
public:
  constexpr fault_tasks(std::initializer_list<fault_action::kind> whats) noexcept {
    for (const auto what : whats)
      bits_ |= bit(what);
  }

  constexpr bool has(fault_action::kind what) const noexcept {
    return what == fault_action::kind::none || (bits_ & bit(what)) != 0;
  }
  /// Returns them by name, `off` aside: {"return", "delay"}.
  std::vector<std::string_view> names() const;
  /// Returns them as one text: "return, delay".
  std::string to_string() const;

private:
  static constexpr std::uint32_t bit(fault_action::kind what) noexcept {
    return std::uint32_t{1} << static_cast<unsigned>(what);
  }
  std::uint32_t bits_ = 0;
};

/// One place where trouble can be made. Asking costs one relaxed load while it is off. Thread-safe.
class fault_point {
public:
  /// Returns what to do now.
  fault_action fire() noexcept {
    if (!armed_.load(std::memory_order_relaxed)) return {};
    return fire_armed();
  }

  bool is_armed() const noexcept { return armed_.load(std::memory_order_relaxed); }

private:
  friend class fault_points;
  struct program;
  fault_action fire_armed() noexcept;

  std::atomic<bool> armed_{false};
  std::mutex mutex_;
  std::shared_ptr<program> program_;
  std::uint64_t fired_ = 0;
};

/// The fault points of one pipeline, by name: "gpu0.launch". Grammar of a setting, as in fail-rs:
///   site=TERM[->TERM...]    TERM = [P%][COUNT*]TASK[(ARG)]
///   tasks: off  return(oom|transient|sticky|no_device)  delay(MILLISECONDS)  hang  exit  corrupt
///          cuda(illegal_address|trap|assert|hang|oom)
/// P% fires with that probability, COUNT* at most so many times; when a term is used up, or chance
/// passes it by, the next one of the chain applies. `return` alone is return(transient);
/// `3*off->hang` hangs from the fourth time on. Chance follows the seed and the site's name, from
/// the start each time a site is armed. Thread-safe.
class fault_points {
public:
  explicit fault_points(std::uint64_t seed = 0);
  ~fault_points();

  /// Registers a site, what it means and what it can be told to do, and returns it; the reference
  /// lives as long as this.
  fault_point& site(std::string_view name, std::string_view meaning, fault_tasks tasks);
  /// Arms a site: "gpu0.launch=5%return(sticky)". `invalid_argument` for a syntax error (points at
  /// it) and for a task that the site does not do (lists those that it does), `not_found` for an
  /// unknown site (lists the known ones).
  result<void> arm(std::string_view setting);
  /// Arms several. All or none; no site twice.
  result<void> arm_all(std::span<const std::string> settings);
  /// Returns what `arm` would.
  result<void> check(std::string_view setting) const;
  void disarm_all();

  struct site_info {
    std::string name;
    std::string meaning;
    fault_tasks tasks;
    std::string setting;     ///< "off" or as armed
    std::uint64_t fired = 0; ///< times it did something
  };
  std::vector<site_info> list() const;

private:
  struct entry;
  result<void> arm_parsed(std::vector<fault_setting> settings);
  result<void> check_parsed(const fault_setting& setting) const;
  error unknown_site(std::string_view name) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<entry>, std::less<>> sites_;
  std::uint64_t seed_;
};

/// Checks a setting's grammar without a registry. `invalid_argument` says where it is wrong.
result<void> check_fault_setting(std::string_view setting);

/// Returns the settings that stand between semicolons, as $ENGRAM_FAILPOINTS has them.
std::vector<std::string> split_fault_settings(std::string_view text);

} // namespace engram
