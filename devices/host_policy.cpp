#include "engram/devices/host_policy.hpp"

#include <algorithm>
#include <utility>

namespace engram {

std::string_view to_string(host_role role) noexcept {
  return role == host_role::owner ? "owner" : "runner";
}

host_policy::host_policy(host_limits limits)
    : limits_(limits), owner_crashes_(limits.crashes), runner_crashes_(limits.crashes) {}

void host_policy::begin(time_point now) {
  plan_start(host_role::owner, duration::zero(), now);
  for (std::size_t i = 0; i < wanted_runners(); ++i)
    plan_start(host_role::runner, duration::zero(), now);
  start_what_is_due(now);
}

void host_policy::on_ready(host_id id, time_point now) {
  auto* which = find(id);
  if (!which || which->killed) return;
  which->ready = true;
  if (which->role != host_role::runner) return;
  last_ready_ = now;
  choose_serving();
}

void host_policy::on_death(host_id id, std::string_view cause, time_point now) {
  const auto* found = find(id);
  if (!found) return;
  const auto role = found->role;
  std::erase_if(processes_, [id](const process& each) { return each.id == id; });
  auto& crashes = role == host_role::owner ? owner_crashes_ : runner_crashes_;
  const auto wait = crashes.on_death(now);
  // Only runners serve; while the owner crashes, what it left goes on.
  if (role == host_role::runner) {
    crash_loop_ = !wait;
    last_runner_death_ = now;
  }
  // A process that starts keeps the GPU from the one that takes over, which has to prove itself
  // now.
  const bool another = std::ranges::any_of(processes_, [](const process& each) {
    return each.role == host_role::runner && each.ready && !each.killed;
  });
  plan_start(role, wait && another ? std::max(*wait, limits_.settling) : wait, now);
  if (serving_ == id) {
    lose(cause);
    choose_serving();
  }
  start_what_is_due(now);
}

void host_policy::on_timer(time_point now) {
  for (auto& each : processes_)
    if (!each.ready && !each.killed && each.start_by <= now) kill(each, "start_timeout");
  if (const auto when = give_up_at(); when && *when <= now) {
    const auto cause = *oldest_batch_ + limits_.hang_timeout <= now ? "hung" : "late";
    kill(*find(*serving_), cause);
    lose(cause);
    // Its death is yet to come, and the deaths before it may be long past.
    if (now - last_runner_death_ > limits_.crashes.period) crash_loop_ = false;
    choose_serving();
  }
  start_what_is_due(now);
}

std::optional<time_point> host_policy::timer() const noexcept {
  std::optional<time_point> first;
  const auto consider = [&first](time_point when) {
    first = first ? std::min(*first, when) : when;
  };
  for (const auto& each : processes_)
    if (!each.ready && !each.killed) consider(each.start_by);
  for (const auto& each : planned_)
    consider(each.when);
  if (const auto when = give_up_at()) consider(*when);
  return first;
}

/// Returns when the serving runner has kept its oldest batch for too long; nothing if it has none.
std::optional<time_point> host_policy::give_up_at() const noexcept {
  if (!serving_ || !oldest_batch_) return std::nullopt;
  const auto hung = *oldest_batch_ + limits_.hang_timeout;
  if (predicted_ == duration::zero() || !has_standby()) return hung;
  const auto expected = from_seconds(limits_.late_factor * to_seconds(predicted_));
  const auto late = std::max(*oldest_batch_, last_ready_ + limits_.settling) +
                    std::max(limits_.late_timeout, expected);
  return std::min(hung, late);
}

std::vector<host_policy::action> host_policy::take_actions() {
  return std::exchange(actions_, {});
}

std::optional<host_id> host_policy::owner() const noexcept {
  const auto found = std::ranges::find_if(processes_, [](const process& each) {
    return each.role == host_role::owner && each.ready && !each.killed;
  });
  return found == processes_.end() ? std::nullopt : std::optional{found->id};
}

bool host_policy::has_standby() const noexcept {
  return std::ranges::any_of(processes_, [this](const process& each) {
    return each.role == host_role::runner && each.ready && !each.killed && each.id != serving_;
  });
}

host_policy::process* host_policy::find(host_id id) noexcept {
  const auto found = std::ranges::find(processes_, id, &process::id);
  return found == processes_.end() ? nullptr : &*found;
}

/// Without a `wait` the deaths were too many: as long as may be.
void host_policy::plan_start(host_role role, std::optional<duration> wait, time_point now) {
  planned_.push_back({role, now + wait.value_or(limits_.crashes.max_backoff)});
}

void host_policy::start_what_is_due(time_point now) {
  for (const auto& each : planned_) {
    if (each.when > now) continue;
    processes_.push_back({++last_id_, each.role, false, false, now + limits_.start_timeout});
    actions_.push_back({action::kind::start, each.role, last_id_});
  }
  std::erase_if(planned_, [now](const start_due& each) { return each.when <= now; });
}

void host_policy::kill(process& which, std::string_view cause) {
  which.killed = true;
  actions_.push_back({action::kind::kill, which.role, which.id, cause});
}

void host_policy::lose(std::string_view cause) {
  actions_.push_back({action::kind::lost, host_role::runner, *serving_, cause});
  serving_.reset();
  oldest_batch_.reset();
  lost_ = true;
}

void host_policy::choose_serving() {
  if (serving_) return;
  const auto next = std::ranges::find_if(processes_, [](const process& each) {
    return each.role == host_role::runner && each.ready && !each.killed;
  });
  if (next == processes_.end()) return;
  serving_ = next->id;
  oldest_batch_.reset(); // it was given none yet
  actions_.push_back({action::kind::serve, host_role::runner, next->id});
  if (std::exchange(lost_, false) && !crash_loop_)
    actions_.push_back({action::kind::restored, host_role::runner, next->id});
}

} // namespace engram
