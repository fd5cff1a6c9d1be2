#include "engram/actors/policy/verification_policy.hpp"

#include <algorithm>

namespace engram {

namespace {

/// More than this is never owed: after a long time without room the CPU does not check for ever.
constexpr double most_debt = 100;
/// However short the interval: the CPU has other things to do.
constexpr duration least_interval = std::chrono::milliseconds{1};
/// A canary that was not possible is tried again after this part of the interval.
constexpr int retries_per_interval = 10;

} // namespace

verification_policy::verification_policy(std::size_t devices, time_point now)
    : devices_(devices, {0, now, now}) {
  set_limits({});
}

void verification_policy::set_limits(verification_limits limits) {
  limits_ = limits;
  if (!has_canaries()) return;
  limits_.canary_interval = std::max(limits_.canary_interval, least_interval);
  for (auto& each : devices_)
    each.canary_due = each.idle_since + limits_.canary_interval;
}

bool verification_policy::on_answer(std::size_t device, bool room) {
  auto& debt = devices_[device].debt;
  debt = std::min(debt + limits_.check_share, most_debt);
  // 1000 times 0.001 is a little less than 1.
  constexpr double rounding = 1e-9;
  if (!room || debt < 1 - rounding) return false;
  debt -= 1;
  return true;
}

void verification_policy::on_unfinished_check(std::size_t device) {
  auto& debt = devices_[device].debt;
  debt = std::min(debt + 1, most_debt);
}

void verification_policy::on_run(std::size_t device, time_point now) {
  devices_[device].idle_since = now;
  devices_[device].canary_due = now + limits_.canary_interval;
}

bool verification_policy::is_canary_due(std::size_t device, time_point now) const {
  return device > 0 && has_canaries() && now >= devices_[device].canary_due;
}

void verification_policy::postpone_canary(std::size_t device, time_point now) {
  devices_[device].canary_due =
      now + std::max(limits_.canary_interval / retries_per_interval, least_interval);
}

std::optional<time_point> verification_policy::next_canary() const {
  if (!has_canaries() || devices_.size() < 2) return std::nullopt;
  return std::ranges::min_element(devices_.begin() + 1, devices_.end(), {}, &of_device::canary_due)
      ->canary_due;
}

} // namespace engram
