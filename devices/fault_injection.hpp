#pragma once

#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/work.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// A fault point of a device and its name, "gpu0.launch".
struct fault_site {
  std::string name;
  fault_point& point;
};
fault_site make_fault_site(fault_points& faults, std::string_view device, std::string_view what,
                           std::string_view meaning, fault_tasks tasks);

/// Returns the fault that `action` makes at `site`; nothing when it makes none. `exit` is the death
/// of the device's process, which is a sticky fault; so is what a kernel does wrong, where the
/// device does not do it for real.
std::optional<device_fault> injected_fault(std::string_view site, const fault_action& action);

/// Returns true if `action` makes the batch hang.
bool is_hang(const fault_action& action) noexcept;

/// Changes one bit of `outputs`, so that comparing them with the right ones fails: of the first
/// score, or else of the first hop or hit count. Leaves outputs without a number alone.
void corrupt(std::vector<item_output>& outputs) noexcept;

} // namespace engram
