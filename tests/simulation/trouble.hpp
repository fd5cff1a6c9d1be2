#pragma once

#include "engram/devices/fault_points.hpp"
#include "engram/tests/simulation/dice.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace engram::simulation {

/// Kinds of fault points, by whom they strike.
enum class trouble_kind : unsigned char { device, corruption, cpu, actor };

/// Returns whom the fault point `site` strikes.
trouble_kind kind_of(std::string_view site) noexcept;

/// Arms a random point of `kind` with a random setting that it takes, and returns the setting;
/// nothing if there is no such point or it took none.
std::optional<std::string> arm_something(fault_points& points, trouble_kind kind, dice& from);

} // namespace engram::simulation
