#include "engram/tests/simulation/life.hpp"

#include "engram/devices/cpu_device.hpp"
#include "engram/devices/sim_device.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace engram::simulation {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t dim = 8; ///< of every collection

} // namespace

life::life(std::uint64_t seed, const teller& tell)
    : dice_(seed), world_(dice_), clock_(std::make_shared<test::manual_alarm_clock>()),
      tale_(*clock_, tell) {
  report_.seed = seed;
  tale_.add_plain("seed " + std::to_string(seed) + ": " + world_.describe());
  build();
}

seed_report life::play() {
  for (auto left = world_.steps; left > 0 && !is_over(); --left) {
    step();
    look();
  }
  if (world_.end == ending::stops)
    stop();
  else if (!is_over())
    recover();
  finish();
  return std::move(report_);
}

void life::build() {
  static const auto engine = std::make_shared<const cpu_engine>(isa::scalar, 1);
  auto faults = std::make_unique<fault_points>(dice_.seed());
  std::vector<std::unique_ptr<device>> devices;
  auto cpu = std::make_unique<observed_device>(
      make_cpu_device("cpu", isa::scalar, 1, *faults, *clock_), 0, *this, *clock_);
  cpu_ = cpu.get();
  cpu_->set_pace(usual_pace);
  devices.push_back(std::move(cpu));
  profiles_.resize(world_.gpus.size());
  hosts_.resize(world_.gpus.size());
  for (std::size_t g = 0; g < world_.gpus.size(); ++g) {
    profiles_[g] = {"small", "small GPU", world_.gpus[g].memory_bytes, 20e-6, 1e9, 1e9, 1e9, 1e9};
    sim_options options{"gpu" + std::to_string(g), &profiles_[g], world_.options.gpu.streams, 0.8};
    std::unique_ptr<device> made;
    if (world_.gpus[g].in_processes) {
      auto host = std::make_unique<simulated_host>(
          host_setup{.gpu = options, .limits = world_.gpus[g].limits}, engine, clock_, *faults,
          dice_.seed(), tale_);
      hosts_[g] = host.get();
      made = std::move(host);
    } else {
      made = make_sim_device(options, engine, clock_, *faults);
    }
    devices.push_back(std::make_unique<observed_device>(std::move(made), g + 1, *this, *clock_));
  }
  test::virtual_actors::chooser choose;
  if (world_.random_order) choose = [this](std::size_t n) { return dice_.pick(0, n - 1); };
  actors_ = std::make_unique<test::virtual_actors>(world_.options, *clock_, std::move(faults),
                                                   std::move(devices), std::move(choose));
  // Child processes have started by then.
  if (world_.is_calm() || dice_.chance(0.8)) actors_->advance(400ms);
  publish_vectors();
  publish_graph();
}

void life::step() {
  switch (dice_.pick(0, 11)) {
  case 0:
  case 1:
  case 2:
  case 3:
    return ask_some();
  case 4:
  case 5:
    return pass(std::chrono::microseconds{dice_.pick(0, 20'000)});
  case 6:
    return pass(std::chrono::microseconds{dice_.pick(0, 5) * dice_.pick(0, 100'000)});
  case 7:
  case 8:
    return trouble();
  case 9:
    return cancel();
  case 10:
    return change();
  default:
    if (world_.leaps && dice_.chance(0.5)) return leap_on();
    return ask_some();
  }
}

void life::ask_some() {
  const auto gap = dice_.chance(0.5) ? dice_.pick(0, 3'000) : 0;
  for (auto burst = dice_.pick(1, 5) * (dice_.chance(0.1) ? 5 : 1); burst > 0; --burst) {
    ask(random_payload(), random_allowance(), static_cast<int>(dice_.pick(0, 4)));
    if (gap > 0) actors_->advance(std::chrono::microseconds{gap});
  }
}

void life::trouble() {
  std::vector<void (life::*)()> kinds;
  const auto add = [&kinds](bool may, void (life::*kind)()) {
    if (may) kinds.push_back(kind);
  };
  add(world_.device_faults, &life::device_trouble);
  add(world_.corruption, &life::silent_corruption);
  add(world_.cpu_faults, &life::cpu_trouble);
  add(world_.slow_cpu, &life::change_pace);
  add(world_.actor_deaths, &life::actor_death);
  add(world_.child_trouble, &life::child_trouble);
  add(world_.device_faults && world_.actor_deaths, &life::death_in_silence);
  if (!kinds.empty()) (this->*kinds[dice_.pick(0, kinds.size() - 1)])();
}

void life::device_trouble() {
  if (!dice_.chance(0.15)) return arm(trouble_kind::device);
  core().faults->disarm_all();
  tale_.add("fault", "all fault points off");
}

void life::death_in_silence() {
  arm(trouble_kind::device);
  ask_some();
  arm(trouble_kind::actor);
  pass(std::chrono::milliseconds{dice_.pick(50, 300)});
}

void life::arm(trouble_kind kind) {
  const auto setting = arm_something(*core().faults, kind, dice_);
  if (!setting) return;
  tale_.add("fault", "armed " + *setting);
  if (setting->starts_with("timer.")) slack_ = quantum + timer_guard;
}

void life::change_pace() {
  cpu_->set_pace({usual_pace.seconds_each * static_cast<double>(dice_.pick(1, 20)),
                  usual_pace.seconds_per_work * static_cast<double>(dice_.pick(1, 10))});
  tale_.add("cpu", "changes its pace");
}

void life::child_trouble() {
  std::vector<simulated_host*> there;
  for (auto* each : hosts_)
    if (each) there.push_back(each);
  if (there.empty()) return;
  auto& host = *there[dice_.pick(0, there.size() - 1)];
  using victim = simulated_host::victim;
  const auto who = dice_.one_of({victim::serving, victim::serving, victim::standby, victim::owner});
  switch (dice_.pick(0, 5)) {
  case 0:
  case 1:
  case 2:
    return host.end(who, dice_.one_of({"sticky", "exit", "killed"}));
  case 3:
    return host.freeze(dice_.chance(0.2) ? victim::starting : who);
  case 4:
    return host.thaw();
  default:
    host.fail_starts(static_cast<std::uint32_t>(dice_.pick(1, 8)));
    host.end(who, "exit");
  }
}

void life::cancel() {
  if (!world_.cancels || asked_.empty()) return;
  const auto number =
      dice_.pick(asked_.size() - std::min<std::size_t>(asked_.size(), 8), asked_.size() - 1);
  auto& each = *asked_[number];
  if (!each.handle || each.handle->answered()) return;
  each.cancelled = true;
  tale_.add("caller", "takes request " + std::to_string(number) + " back");
  each.handle->fail(ec::cancelled, "taken back");
}

void life::change() {
  if (world_.reloads && dice_.chance(0.4)) {
    core().set_options(reloaded(*core().options(), dice_));
    tale_.add("admin", "other options");
  }
  if (!world_.publishes) return;
  if (dice_.chance(0.5)) publish_vectors();
  if (dice_.chance(0.2)) publish_graph();
  if (dice_.chance(0.1)) drop(dice_.chance(0.5) ? "vectors" : "graph");
}

void life::leap_on() {
  const auto by = std::chrono::milliseconds{dice_.pick(1, dice_.chance(0.5) ? 50 : 5'000)};
  actors_->run();
  const auto from = clock_->now();
  tale_.add("clock", "leaps by " + milliseconds(by));
  note_idle(from, from + by);
  actors_->leap(by, dice_.chance(0.5));
}

void life::publish_vectors(std::size_t rows) {
  std::vector<float> numbers(rows * dim);
  for (auto& each : numbers)
    each = static_cast<float>(dice_.pick(0, 22)) - 11.0f;
  publish("vectors", *vector_collection::make({numbers.data(), rows, dim}));
}

void life::publish_graph() {
  std::vector<edge> edges;
  std::set<std::pair<node_id, node_id>> seen;
  for (node_id i = 0; i < nodes; ++i)
    for (std::size_t e = dice_.pick(1, 3); e > 0; --e)
      if (const auto to = static_cast<node_id>(dice_.pick(0, nodes - 1));
          seen.insert({i, to}).second)
        edges.push_back({i, to, static_cast<float>(dice_.pick(1, 8)) / 8.0f});
  publish("graph", *activation_graph::make(nodes, std::move(edges)));
}

void life::publish(const std::string& name, std::variant<collection_ptr, graph_ptr> content) {
  const auto before = core().datasets.find(name);
  const auto data = *core().datasets.publish(name, std::move(content));
  std::string where = "cpu";
  for (std::size_t d = 1; d < core().workers.size(); ++d) {
    auto& on = *core().workers[d]->device;
    auto uploaded = on.publish(data);
    if (!uploaded && before) {
      on.retire(before->key);
      uploaded = on.publish(data);
    }
    if (uploaded)
      where += " " + on.info().name;
    else
      tale_.add(on.info().name, "does not take " + name + ": " + uploaded.error().message);
    lost_in_upload_[d] = !uploaded && uploaded.error().code == ec::unavailable;
    if (before) on.retire(before->key);
  }
  if (before) core().costs.forget_dataset(before->key);
  tale_.add("admin", "published " + name + "@" + std::to_string(data->version) + ", " +
                         std::to_string(data->resident_bytes()) + " bytes, on " + where);
  look_at_memory();
}

void life::drop(const std::string& name) {
  const auto dropped = core().datasets.drop(name);
  if (!dropped) return;
  for (std::size_t d = 1; d < core().workers.size(); ++d)
    core().workers[d]->device->retire((*dropped)->key);
  core().costs.forget_dataset((*dropped)->key);
  tale_.add("admin", "dropped " + name);
}

} // namespace engram::simulation
