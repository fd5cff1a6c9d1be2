#include "engram/devices/fault_injection.hpp"

#include <bit>
#include <cstdint>
#include <string>
#include <utility>

namespace engram {

namespace {

// A bit high in the mantissa: the value changes visibly and stays finite.
void flip(float& score) noexcept {
  score = std::bit_cast<float>(std::bit_cast<std::uint32_t>(score) ^ (1U << 21));
}

bool corrupt_one(item_output& output) noexcept {
  if (!output.hits.empty())
    flip(output.hits.front().score);
  else if (!output.scores.empty())
    flip(output.scores.front());
  else if (!output.hops.empty())
    output.hops.front() ^= 1U;
  else if (!output.counts.empty())
    output.counts.front() ^= 1U;
  else
    return false;
  return true;
}

} // namespace

fault_site make_fault_site(fault_points& faults, std::string_view device, std::string_view what,
                           std::string_view meaning, fault_tasks tasks) {
  auto name = std::string{device} + '.';
  name += what;
  auto& point = faults.site(name, meaning, tasks);
  return {std::move(name), point};
}

std::optional<device_fault> injected_fault(std::string_view site, const fault_action& action) {
  switch (action.what) {
  case fault_action::kind::fail:
    return device_fault{action.fault, "injected fault at " + std::string(site), true};
  case fault_action::kind::exit:
    return device_fault{fault_class::sticky, "injected exit at " + std::string(site), true};
  case fault_action::kind::misbehave: {
    if (action.misdeed == misbehaviour::hang) break;
    const bool oom = action.misdeed == misbehaviour::oom;
    return device_fault{
        oom ? fault_class::oom : fault_class::sticky,
        "injected " + std::string(to_string(action.misdeed)) + " at " + std::string(site), true};
  }
  case fault_action::kind::none:
  case fault_action::kind::delay:
  case fault_action::kind::hang:
  case fault_action::kind::corrupt:
    break;
  }
  return std::nullopt;
}

bool is_hang(const fault_action& action) noexcept {
  return action.what == fault_action::kind::hang ||
         (action.what == fault_action::kind::misbehave && action.misdeed == misbehaviour::hang);
}

void corrupt(std::vector<item_output>& outputs) noexcept {
  for (auto& output : outputs)
    if (corrupt_one(output)) return;
}

} // namespace engram
