#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/device.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

struct fault_setting;

/// What a fault point does when it fires.
struct fault_action {
  enum class kind : std::uint8_t { none, fail, delay, hang, exit, corrupt };
  kind what = kind::none;
  fault_class fault = fault_class::transient; ///< of `fail`
  duration wait{};                            ///< of `delay`

  explicit operator bool() const noexcept { return what != kind::none; }
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
/// P% fires with that probability, COUNT* at most so many times; when a term is used up, or chance
/// passes it by, the next one of the chain applies. `return` alone is return(transient);
/// `3*off->hang` hangs from the fourth time on. Chance follows the seed and the site's name, from
/// the start each time a site is armed. Thread-safe.
class fault_points {
public:
  explicit fault_points(std::uint64_t seed = 0);
  ~fault_points();

  /// Registers a site and what it means, and returns it; the reference lives as long as this.
  fault_point& site(std::string_view name, std::string_view meaning);
  /// Arms a site: "gpu0.launch=5%return(sticky)". `invalid_argument` for a syntax error (points at
  /// it), `not_found` for an unknown site (lists the known ones).
  result<void> arm(std::string_view setting);
  /// Arms several, separated by ';'. All or none.
  result<void> arm_all(std::string_view settings);
  void disarm_all();

  struct site_info {
    std::string name;
    std::string meaning;
    std::string setting;     ///< "off" or as armed
    std::uint64_t fired = 0; ///< times it did something
  };
  std::vector<site_info> list() const;

private:
  struct entry;
  result<void> arm_parsed(std::vector<fault_setting> settings);
  error unknown_site(std::string_view name) const;

  mutable std::mutex mutex_;
  std::map<std::string, std::unique_ptr<entry>, std::less<>> sites_;
  std::uint64_t seed_;
};

/// Checks a setting's grammar without a registry. `invalid_argument` says where it is wrong.
result<void> check_fault_setting(std::string_view setting);

} // namespace engram
