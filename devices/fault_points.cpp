#include "engram/devices/fault_points.hpp"

#include "engram/devices/fault_grammar.hpp"

#include <utility>

namespace engram {

namespace {

/// Returns the same number for the same name on every machine (FNV-1a), so that a seed means the
/// same everywhere.
std::uint64_t number_of(std::string_view name) noexcept {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

} // namespace

/// What an armed point does, and how far it has got with it.
struct fault_point::program {
  std::string text;
  std::vector<fault_term> terms;
  std::mt19937_64 chance;

  /// Returns the action of the first term that is not used up and that chance picks.
  fault_action next() noexcept {
    for (auto& term : terms) {
      if (term.remaining == std::uint64_t{0}) continue;
      if (term.probability < 1.0 && !happens(term.probability)) continue;
      if (term.remaining) --*term.remaining;
      return term.action;
    }
    return {};
  }

private:
  // Not std::bernoulli_distribution: its bits differ between standard libraries.
  bool happens(double probability) noexcept {
    constexpr double steps = 9007199254740992.0; // 2^53: every one of them is a double
    return static_cast<double>(chance() >> 11) < probability * steps;
  }
};

fault_action fault_point::fire_armed() noexcept {
  std::lock_guard lock(mutex_);
  if (!program_) return {};
  const auto action = program_->next();
  if (action) ++fired_;
  return action;
}

struct fault_points::entry {
  std::string meaning;
  fault_tasks tasks{};
  fault_point point;

  void arm(std::shared_ptr<fault_point::program> program) {
    std::lock_guard lock(point.mutex_);
    point.armed_.store(program != nullptr, std::memory_order_relaxed);
    point.program_ = std::move(program);
  }

  site_info describe(const std::string& name) {
    std::lock_guard lock(point.mutex_);
    return {name, meaning, tasks, point.program_ ? point.program_->text : "off", point.fired_};
  }
};

fault_points::fault_points(std::uint64_t seed) : seed_(seed) {}
fault_points::~fault_points() = default;

fault_point& fault_points::site(std::string_view name, std::string_view meaning,
                                fault_tasks tasks) {
  std::lock_guard lock(mutex_);
  auto& slot = sites_[std::string(name)];
  if (!slot) slot = std::make_unique<entry>();
  slot->meaning = meaning;
  slot->tasks = tasks;
  return slot->point;
}

result<void> fault_points::arm(std::string_view setting) {
  auto parsed = parse_fault_setting(setting);
  if (!parsed) return std::move(parsed).error();
  return arm_parsed({*std::move(parsed)});
}

result<void> fault_points::arm_all(std::span<const std::string> settings) {
  auto parsed = parse_fault_settings(settings);
  if (!parsed) return std::move(parsed).error();
  return arm_parsed(*std::move(parsed));
}

result<void> fault_points::check(std::string_view setting) const {
  auto parsed = parse_fault_setting(setting);
  if (!parsed) return std::move(parsed).error();
  std::lock_guard lock(mutex_);
  return check_parsed(*parsed);
}

result<void> fault_points::arm_parsed(std::vector<fault_setting> settings) {
  std::lock_guard lock(mutex_);
  for (const auto& setting : settings)
    if (auto known = check_parsed(setting); !known) return known;
  for (auto& setting : settings) {
    auto program = std::make_shared<fault_point::program>();
    program->text = std::move(setting.program);
    program->terms = std::move(setting.terms);
    program->chance.seed(seed_ ^ number_of(setting.site));
    const bool is_off = program->text == "off";
    sites_.find(setting.site)->second->arm(is_off ? nullptr : std::move(program));
  }
  return {};
}

result<void> fault_points::check_parsed(const fault_setting& setting) const {
  const auto found = sites_.find(setting.site);
  if (found == sites_.end()) return unknown_site(setting.site);
  const auto& tasks = found->second->tasks;
  for (const auto& term : setting.terms)
    if (!tasks.has(term.action.what))
      return error{ec::invalid_argument, "fault site \"" + setting.site + "\" does not take " +
                                             std::string(to_string(term.action.what)) +
                                             "; it takes off, " + tasks.to_string()};
  return {};
}

error fault_points::unknown_site(std::string_view name) const {
  std::string message = "there is no fault site \"" + std::string(name) + "\"; ";
  if (sites_.empty()) return {ec::not_found, message + "none is registered here"};
  message += "known are ";
  std::string_view separator;
  for (const auto& [known, slot] : sites_) {
    message.append(separator).append(known);
    separator = ", ";
  }
  return {ec::not_found, std::move(message)};
}

void fault_points::disarm_all() {
  std::lock_guard lock(mutex_);
  for (auto& [name, slot] : sites_)
    slot->arm(nullptr);
}

std::vector<fault_points::site_info> fault_points::list() const {
  std::lock_guard lock(mutex_);
  std::vector<site_info> all;
  all.reserve(sites_.size());
  for (const auto& [name, slot] : sites_)
    all.push_back(slot->describe(name));
  return all;
}

} // namespace engram
