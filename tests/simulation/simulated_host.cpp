#include "engram/tests/simulation/simulated_host.hpp"

#include "engram/devices/sim_profile.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace engram::simulation {

using namespace std::chrono_literals;

namespace {

/// From SIGKILL to the news of the death.
constexpr auto kill_takes = 2ms;
/// A dataset's way to a new owner.
constexpr auto upload_takes = 5ms;

} // namespace

simulated_host::simulated_host(host_setup setup, std::shared_ptr<const cpu_engine> engine,
                               std::shared_ptr<alarm_clock> clock, fault_points& faults,
                               std::uint64_t seed, const story& tale)
    : setup_(std::move(setup)), info_{setup_.gpu.name, device_kind::simulated,
                                      "simulated, in child processes",
                                      setup_.gpu.profile->memory_bytes, setup_.gpu.streams},
      budget_bytes_(static_cast<std::uint64_t>(
          static_cast<double>(setup_.gpu.profile->memory_bytes) * setup_.gpu.vram_safety_margin)),
      engine_(std::move(engine)), clock_(std::move(clock)), faults_(faults), dice_(seed),
      tale_(tale), policy_(setup_.limits) {
  // Its runners come and go; its fault sites are there from the start.
  make_sim_device(setup_.gpu, engine_, clock_, faults_);
  policy_.begin(clock_->now());
  act();
}

simulated_host::~simulated_host() = default;

// -- trouble --

void simulated_host::end(victim which, std::string_view cause) {
  auto* found = find(which);
  if (!found) return;
  found->dying = true;
  tale_.add(info_.name, name_of(found->role, found->id) + " dies: " + std::string{cause});
  at(clock_->now(), [this, id = found->id, cause] { die(id, cause); });
}

void simulated_host::freeze(victim which) {
  auto* found = find(which);
  if (!found) return;
  found->frozen = true;
  tale_.add(info_.name, name_of(found->role, found->id) + " stops answering");
}

void simulated_host::thaw() {
  std::vector<std::function<void()>> missed;
  for (auto& each : children_) {
    if (!std::exchange(each.frozen, false)) continue;
    tale_.add(info_.name, name_of(each.role, each.id) + " goes on");
    std::ranges::move(each.missed, std::back_inserter(missed));
    each.missed.clear();
  }
  for (const auto& action : missed)
    action();
}

duration simulated_host::longest_return() const noexcept {
  return setup_.limits.hang_timeout + kill_takes + setup_.limits.crashes.max_backoff +
         setup_.most_start;
}

// -- device --

void simulated_host::run(work_batch_ptr batch, run_done done) {
  const auto* runner = serving();
  if (!runner)
    return fail(std::move(done), fault_class::no_device, info_.name + " has no runner that serves");
  const auto number = ++last_job_;
  jobs_.emplace(number, job{runner->id, std::move(batch), std::move(done), clock_->now()});
  note_oldest();
  give(number);
}

result<void> simulated_host::publish(const dataset_ptr& data) {
  if (wanted_.contains(data->key)) return {};
  const auto* owner = policy_.owner() ? find(*policy_.owner()) : nullptr;
  if (!owner || owner->frozen || owner->dying || !owner_has_all_)
    return error{ec::unavailable, info_.name + " has no owner that takes datasets now"};
  if (owned_bytes() + data->resident_bytes() > budget_bytes_)
    return error{ec::resource_exhausted, info_.name + " has no room for the dataset"};
  wanted_.emplace(data->key, data);
  for (auto& each : children_) {
    if (!each.gpu) continue;
    auto mapped = each.gpu->publish(data);
    if (mapped) continue;
    // A context that is lost takes its process along.
    if (mapped.error().code == ec::unavailable && !std::exchange(each.dying, true))
      at(clock_->now(), [this, id = each.id] { die(id, "sticky"); });
    if (each.id != policy_.serving()) continue;
    retire(data->key);
    return mapped;
  }
  return {};
}

void simulated_host::retire(std::uint64_t key) {
  wanted_.erase(key);
  for (auto& each : children_)
    if (each.gpu) each.gpu->retire(key);
}

bool simulated_host::is_resident(std::uint64_t key) const {
  const auto* runner = serving();
  return runner ? runner->gpu->is_resident(key) : wanted_.contains(key);
}

memory_budget simulated_host::budget() const noexcept {
  if (const auto* runner = serving()) return runner->gpu->budget();
  return {owned_bytes(), budget_bytes_};
}

std::uint64_t simulated_host::workspace_bytes(const work_batch& batch) const noexcept {
  const auto* runner = serving();
  return runner ? runner->gpu->workspace_bytes(batch) : 0;
}

bool simulated_host::reset() {
  return serving() != nullptr;
}

// -- children --

void simulated_host::act() {
  for (auto actions = policy_.take_actions(); !actions.empty(); actions = policy_.take_actions())
    for (const auto& each : actions) {
      using kind = host_policy::action::kind;
      switch (each.what) {
      case kind::start:
        start(each);
        break;
      case kind::kill:
        if (auto* found = find(each.id)) found->dying = true;
        tale_.add(info_.name,
                  "kills " + name_of(each.role, each.id) + ": " + std::string{each.cause});
        at(clock_->now() + kill_takes, [this, id = each.id] { die(id, "killed"); });
        break;
      case kind::serve:
        tale_.add(info_.name, name_of(each.role, each.id) + " serves from now on");
        break;
      case kind::lost:
        lose_jobs(each.id, each.cause);
        say(device_event::kind::lost, each.cause,
            "lost " + name_of(each.role, each.id) + ": " + std::string{each.cause});
        break;
      case kind::restored:
        say(device_event::kind::restored, "restored",
            "is whole again with " + name_of(each.role, each.id));
        break;
      }
    }
  check();
  arm_timer();
}

void simulated_host::start(const host_policy::action& what) {
  auto& born = children_.emplace_back();
  born.id = what.id;
  born.role = what.role;
  const auto takes = setup_.least_start + (setup_.most_start - setup_.least_start) *
                                              static_cast<int>(dice_.pick(0, 100)) / 100;
  const auto id = what.id;
  if (failing_starts_ > 0) {
    --failing_starts_;
    tale_.add(info_.name, "starts " + name_of(what.role, id) + ", which will not get far");
    at(clock_->now() + takes / 10, [this, id] { die(id, "exit"); });
    return;
  }
  tale_.add(info_.name, "starts " + name_of(what.role, id));
  at(clock_->now() + takes, [this, id] { become_ready(id); });
}

void simulated_host::become_ready(host_id id) {
  auto* found = find(id);
  if (!found || found->dying) return;
  if (found->frozen) return found->missed.push_back([this, id] { become_ready(id); });
  found->ready = true;
  tale_.add(info_.name, name_of(found->role, id) + " is ready");
  if (found->role == host_role::runner) {
    found->gpu = make_sim_device(setup_.gpu, engine_, clock_, faults_);
    if (owner_has_all_)
      for (const auto& [_, data] : wanted_)
        (void)found->gpu->publish(data);
  } else {
    at(clock_->now() + upload_takes * static_cast<int>(wanted_.size()),
       [this, id] { upload_again(id); });
  }
  policy_.on_ready(id, clock_->now());
  act();
}

/// A new owner has everything that was published before; who did not map it yet does so.
void simulated_host::upload_again(host_id owner) {
  auto* found = find(owner);
  if (!found || found->dying) return;
  if (found->frozen) return found->missed.push_back([this, owner] { upload_again(owner); });
  owner_has_all_ = true;
  for (auto& each : children_)
    for (const auto& [_, data] : wanted_)
      if (each.gpu) (void)each.gpu->publish(data);
}

void simulated_host::die(host_id id, std::string_view cause) {
  const auto found = std::ranges::find(children_, id, &child::id);
  if (found == children_.end()) return;
  ++deaths_;
  if (found->role == host_role::owner) owner_has_all_ = false;
  const auto gone = std::move(*found); // its work goes with it, after the policy has heard
  children_.erase(found);
  tale_.add(info_.name, name_of(gone.role, id) + " is dead: " + std::string{cause});
  policy_.on_death(id, cause, clock_->now());
  act();
}

void simulated_host::lose_jobs(host_id runner, std::string_view cause) {
  for (auto at_job = jobs_.begin(); at_job != jobs_.end();) {
    if (at_job->second.runner != runner) {
      ++at_job;
      continue;
    }
    fail(std::move(at_job->second.done), fault_class::sticky,
         "the runner was lost: " + std::string{cause});
    at_job = jobs_.erase(at_job);
  }
}

/// Hands a job to its runner.
void simulated_host::give(std::uint64_t number) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  auto* runner = find(found->second.runner);
  if (!runner || !runner->gpu) return;
  if (runner->frozen) return runner->missed.push_back([this, number] { give(number); });
  runner->gpu->run(found->second.batch,
                   [this, number](run_outcome outcome) { on_outcome(number, std::move(outcome)); });
}

void simulated_host::on_outcome(std::uint64_t number, run_outcome outcome) {
  const auto found = jobs_.find(number);
  if (found == jobs_.end()) return;
  auto* runner = find(found->second.runner);
  if (!runner || runner->dying) return; // its end answers
  if (runner->frozen)
    return runner->missed.push_back([this, number, outcome] { on_outcome(number, outcome); });
  if (outcome.fault && outcome.fault->kind == fault_class::sticky) { // it says so and exits
    runner->dying = true;
    at(clock_->now(), [this, id = runner->id] { die(id, "sticky"); });
    return;
  }
  const auto done = std::move(found->second.done);
  jobs_.erase(found);
  note_oldest();
  done(std::move(outcome));
}

void simulated_host::fail(run_done done, fault_class kind, std::string message) {
  at(clock_->now(), [done = std::move(done), kind, message = std::move(message)] {
    run_outcome outcome;
    outcome.fault = device_fault{kind, message};
    done(std::move(outcome));
  });
}

void simulated_host::note_oldest() {
  policy_.on_oldest_batch(jobs_.empty() ? std::nullopt
                                        : std::optional{jobs_.begin()->second.since});
  check();
  arm_timer();
}

void simulated_host::arm_timer() {
  const auto due = policy_.timer();
  if (!due || (alarm_ && *alarm_ <= *due)) return;
  alarm_ = due;
  at(*due, [this, when = *due] {
    if (alarm_ != when) return; // an earlier one was set since
    alarm_.reset();
    policy_.on_timer(clock_->now());
    act();
  });
}

/// Writes down where the policy breaks its own rules.
void simulated_host::check() {
  std::size_t owners = 0, runners = 0;
  bool waits = false;
  for (const auto& each : children_) {
    (each.role == host_role::owner ? owners : runners) += 1;
    waits = waits || (!each.ready && !each.dying);
  }
  const std::size_t wanted = setup_.limits.standby ? 2 : 1;
  if (owners > 1) problems_.push_back("two owners are alive");
  if (runners > wanted) problems_.push_back("more runners are alive than are wanted");
  waits = waits || owners + runners < 1 + wanted || (serving() && !jobs_.empty());
  if (waits && !policy_.timer()) problems_.push_back("something is awaited without a timer");
  if (!policy_.serving() && policy_.has_standby())
    problems_.push_back("nobody serves although a runner stands by");
  if (policy_.serving() && !serving()) problems_.push_back("a dead or unready runner serves");
}

// -- small things --

void simulated_host::at(time_point when, std::function<void()> action) {
  clock_->call_at(when, [still = std::weak_ptr<char>{alive_}, action = std::move(action)] {
    if (!still.expired()) action();
  });
}

simulated_host::child* simulated_host::find(host_id id) noexcept {
  const auto found = std::ranges::find(children_, id, &child::id);
  return found == children_.end() ? nullptr : &*found;
}

simulated_host::child* simulated_host::find(victim which) noexcept {
  const auto found = std::ranges::find_if(children_, [&](const child& each) {
    if (each.dying) return false;
    const bool serves = each.id == policy_.serving();
    switch (which) {
    case victim::owner:
      return each.role == host_role::owner && each.ready;
    case victim::serving:
      return serves;
    case victim::standby:
      return each.role == host_role::runner && each.ready && !serves;
    case victim::starting:
      return !each.ready;
    }
    return false;
  });
  return found == children_.end() ? nullptr : &*found;
}

const simulated_host::child* simulated_host::serving() const noexcept {
  const auto id = policy_.serving();
  if (!id) return nullptr;
  const auto found = std::ranges::find(children_, *id, &child::id);
  return found == children_.end() || !found->gpu ? nullptr : &*found;
}

void simulated_host::say(device_event::kind what, std::string_view cause,
                         std::string message) const {
  if (listener_) listener_({what, std::string{cause}, std::move(message)});
}

std::string simulated_host::name_of(host_role role, host_id id) const {
  return std::string{to_string(role)} + " " + std::to_string(id);
}

std::uint64_t simulated_host::owned_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [_, data] : wanted_)
    sum += data->resident_bytes();
  return sum;
}

} // namespace engram::simulation
