#include "engram/service/admin/admin.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace engram {

namespace {

/// Returns `text` as it may stand in a line of the log: what others sent cannot begin a new one.
std::string one_line(std::string_view text) {
  constexpr std::size_t longest = 400;
  std::string out{text.substr(0, longest)};
  for (char& c : out) {
    const auto code = static_cast<unsigned char>(c);
    if (code < 0x20 || code == 0x7f) c = ' ';
  }
  if (text.size() > longest) out += "...";
  return out;
}

std::string listed(std::span<const key_change> changed) {
  std::string out;
  for (const auto& each : changed)
    out += (out.empty() ? "" : ", ") + each.key + " = " + each.after + " (was " + each.before + ")";
  return out.empty() ? "done, nothing differs" : "done, " + out;
}

std::string listed(std::span<const std::string> settings) {
  std::string out;
  for (const auto& each : settings)
    out += (out.empty() ? "" : "; ") + each;
  return out;
}

} // namespace

std::string admin::faults_closed() const {
  if (!closed().empty()) return closed();
  return pipe_.options().faults.admin_enabled ? "" : "faults.admin_enabled is false";
}

void admin::note(const admin_caller& who, std::string_view what, std::string_view outcome) const {
  const auto name = who.identity.empty() ? "" : " (" + one_line(who.identity) + ")";
  controls_.audit("admin " + one_line(what) + " by " + one_line(who.peer) + name + ": " +
                  one_line(outcome));
}

void admin::note_refusal(const admin_caller& who, std::string_view what, const error& why) const {
  note(who, what, "refused, " + std::string{to_string(why.code)} + ": " + why.message);
}

template <class T>
T admin::noted(const admin_caller& who, std::string_view what, T outcome,
               std::string_view done) const {
  if (outcome)
    note(who, what, done);
  else
    note_refusal(who, what, outcome.error());
  return outcome;
}

result<std::vector<key_change>> admin::reload(const admin_caller& who) {
  auto changed = controls_.reload();
  const auto done = changed ? listed(*changed) : std::string{};
  return noted(who, "reload", std::move(changed), done);
}

drain_state admin::drain(const admin_caller& who) {
  const drain_state found{pipe_.health().in_flight};
  note(who, "drain", "begins, " + std::to_string(found.in_flight) + " requests in flight");
  controls_.drain();
  return found;
}

result<dataset_ptr> admin::publish(const admin_caller& who, const std::string& reference) {
  const auto what = "publish " + reference;
  if (!pipe_.health().ready)
    return noted(
        who, what,
        result<dataset_ptr>{error{ec::shutting_down, "The pipeline is " + pipe_.health().state +
                                                         " and takes no new datasets."}});
  auto published = controls_.publish(reference);
  const auto done =
      published ? "done, version " + std::to_string((*published)->version) : std::string{};
  return noted(who, what, std::move(published), done);
}

result<dropped_dataset> admin::drop(const admin_caller& who, const std::string& name) {
  const auto data = pipe_.find(name);
  const auto dropped = pipe_.drop(name);
  const auto what = "drop " + name;
  if (!dropped) return noted(who, what, result<dropped_dataset>{dropped.error()});
  return noted(who, what, result<dropped_dataset>{dropped_dataset{name, data ? data->version : 0}});
}

result<device_health> admin::override_breaker(const admin_caller& who, const std::string& device,
                                              const std::string& word) {
  const auto what = "breaker of " + device + " " + word;
  const auto meant = breaker_override_of(word);
  if (!meant)
    return noted(who, what,
                 result<device_health>{
                     error{ec::invalid_argument, "the override is \"" + word.substr(0, 40) +
                                                     "\": it must be automatic, closed or open"}});
  if (const auto said = pipe_.override_breaker(device, *meant); !said)
    return noted(who, what, result<device_health>{said.error()});
  const auto health = pipe_.health();
  const auto found = std::ranges::find_if(
      health.devices, [&](const device_health& each) { return each.info.name == device; });
  return noted(who, what, result<device_health>{*found},
               "done, it is " + std::string{to_string(found->breaker)});
}

result<void> admin::set_log_level(const admin_caller& who, const std::string& level) {
  return noted(who, "log level " + level, controls_.set_log_level(level));
}

result<void> admin::arm_faults(const admin_caller& who, std::span<const std::string> settings) {
  return noted(who, "faults " + listed(settings), pipe_.arm_faults(settings));
}

void admin::disarm_faults(const admin_caller& who) {
  pipe_.disarm_faults();
  note(who, "faults off", "done");
}

} // namespace engram
