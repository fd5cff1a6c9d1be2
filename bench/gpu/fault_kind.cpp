#include "engram/bench/gpu/fault_kind.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

namespace engram::bench {

namespace {

constexpr std::uint32_t usual_times = 20;
constexpr std::uint32_t most_times = 100'000;
constexpr std::string_view cold_mark = "/cold";

constexpr std::array kinds{
    fault_kind{.name = "illegal_address",
               .setting = "1*cuda(illegal_address)",
               .real_only = true,
               .is_sticky = true},
    fault_kind{.name = "trap", .setting = "1*cuda(trap)", .real_only = true, .is_sticky = true},
    fault_kind{.name = "assert", .setting = "1*cuda(assert)", .real_only = true, .is_sticky = true},
    fault_kind{.name = "sticky", .setting = "1*return(sticky)", .is_sticky = true},
    fault_kind{.name = "exit", .setting = "1*exit"},
    fault_kind{.name = "hang", .setting = "1*hang"},
    fault_kind{.name = "endless_kernel", .setting = "1*cuda(hang)", .real_only = true},
    fault_kind{.name = "kill_runner", .role = "runner", .signal = SIGKILL},
    fault_kind{.name = "stop_runner", .role = "runner", .signal = SIGSTOP},
    fault_kind{.name = "kill_owner",
               .role = "owner",
               .signal = SIGKILL,
               .loses_data = true,
               .may_go_unseen = true},
    fault_kind{.name = "stop_owner",
               .role = "owner",
               .signal = SIGSTOP,
               .loses_data = true,
               .may_go_unseen = true},
};

error refused(std::string_view what, std::string_view why) {
  std::string known;
  for (const auto& each : kinds)
    known += (known.empty() ? "" : ", ") + std::string{each.name};
  return {ec::invalid_argument, "\"" + std::string{what} + "\" " + std::string{why} +
                                    "; expected KIND[/cold][:TIMES], where KIND is one of " +
                                    known + "."};
}

result<fault_plan> parse_one(std::string_view text) {
  fault_plan plan;
  plan.times = usual_times;
  auto name = text.substr(0, text.find(':'));
  if (name.size() < text.size()) {
    const auto digits = text.substr(name.size() + 1);
    const auto [end, code] =
        std::from_chars(digits.data(), digits.data() + digits.size(), plan.times);
    if (code != std::errc{} || end != digits.data() + digits.size() || plan.times == 0 ||
        plan.times > most_times)
      return refused(text, "has no count from 1 to 100000 after ':'");
  }
  if (name.ends_with(cold_mark)) {
    plan.cold = true;
    name.remove_suffix(cold_mark.size());
  }
  const auto found = std::ranges::find(kinds, name, &fault_kind::name);
  if (found == kinds.end()) return refused(text, "names no kind of fault");
  plan.kind = *found;
  return plan;
}

} // namespace

std::span<const fault_kind> fault_kinds() noexcept {
  return kinds;
}

std::string fault_plan::name() const {
  return std::string{kind.name} + (cold ? std::string{cold_mark} : "");
}

result<std::vector<fault_plan>> parse_fault_plans(std::string_view text) {
  std::vector<fault_plan> plans;
  for (;;) {
    const auto comma = text.find(',');
    auto plan = parse_one(text.substr(0, comma));
    if (!plan) return plan.error();
    plans.push_back(std::move(*plan));
    if (comma == std::string_view::npos) return plans;
    text.remove_prefix(comma + 1);
  }
}

std::string default_fault_plans(bool simulated, bool has_processes) {
  std::string plans = "sticky:200,sticky/cold:20,exit:20,hang:5";
  if (has_processes && !simulated)
    plans = "illegal_address:200,illegal_address/cold:20,trap:20,assert:20,sticky:20,exit:20,"
            "endless_kernel:5,hang:5";
  if (has_processes) plans += ",kill_runner:20,stop_runner:5,kill_owner:5,stop_owner:2";
  return plans;
}

} // namespace engram::bench
