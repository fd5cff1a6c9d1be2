#include "engram/tests/simulation/trouble.hpp"

#include <utility>
#include <vector>

namespace engram::simulation {

namespace {

using task = fault_action::kind;

/// Tasks that are not tried. A CPU that never answers leaves nobody who could answer in time; a
/// supervisor that dies ends the process.
bool is_the_end(const std::string& site, task what) {
  return (what == task::hang && kind_of(site) == trouble_kind::cpu) ||
         (what == task::exit && site == "actor.supervisor");
}

/// Returns a random task that `site` does, as a setting has it; nothing if there is none to try.
std::string random_task(const fault_points::site_info& site, dice& from) {
  std::vector<task> tasks;
  for (const auto each : {task::fail, task::delay, task::hang, task::exit, task::corrupt})
    if (site.tasks.has(each) && !is_the_end(site.name, each)) tasks.push_back(each);
  if (tasks.empty()) return {};
  const auto what = tasks[from.pick(0, tasks.size() - 1)];
  std::string text{to_string(what)};
  if (what == task::delay) text += "(" + std::to_string(from.pick(1, 200)) + ")";
  if (what == task::fail)
    text += "(" +
            std::string{to_string(static_cast<fault_class>(
                from.pick(0, static_cast<std::size_t>(fault_class::last_))))} +
            ")";
  return text;
}

/// Returns a setting for `site` that fires a few times, or by chance, at once or after a while.
std::string random_setting(const std::string& site, const std::string& what, dice& from) {
  const bool kills = kind_of(site) == trouble_kind::actor;
  if (!kills && from.chance(0.2)) return site + "=" + std::to_string(from.pick(5, 60)) + "%" + what;
  const auto later = from.chance(0.3) ? std::to_string(from.pick(1, 6)) + "*off->" : "";
  return site + "=" + later + std::to_string(from.pick(1, kills ? 3 : 6)) + "*" + what;
}

} // namespace

trouble_kind kind_of(std::string_view site) noexcept {
  if (site.ends_with(".result")) return trouble_kind::corruption;
  if (site.starts_with("actor.") || site.starts_with("timer.") || site.ends_with("worker"))
    return trouble_kind::actor;
  if (site.starts_with("cpu.")) return trouble_kind::cpu;
  return trouble_kind::device;
}

std::optional<std::string> arm_something(fault_points& points, trouble_kind kind, dice& from) {
  std::vector<fault_points::site_info> sites;
  for (auto& each : points.list())
    if (kind_of(each.name) == kind) sites.push_back(std::move(each));
  if (sites.empty()) return std::nullopt;
  const auto& site = sites[from.pick(0, sites.size() - 1)];
  const auto what = random_task(site, from);
  if (what.empty()) return std::nullopt;
  auto setting = random_setting(site.name, what, from);
  if (!points.arm(setting)) return std::nullopt; // it may take a task, but not this fault class
  return setting;
}

} // namespace engram::simulation
