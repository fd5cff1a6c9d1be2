#pragma once

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"
#include "engram/devices/sim_profile.hpp"

#include <memory>
#include <string>

namespace engram {

struct sim_options {
  std::string name = "gpu0";
  const sim_profile* profile = nullptr;
  std::uint32_t streams = 4;
  double vram_safety_margin = 0.8;
};

/// Returns a pretended GPU: right answers, computed by `engine` on the CPU and given when the
/// profile says that the GPU would have had them (or when they are ready, if the CPU was slower),
/// `streams` batches at a time, with a memory budget kept by reservation. Reports the profile's
/// times. Fault sites "<name>.alloc", ".upload",
/// ".launch", ".complete" (delay, hang), ".result" (corrupt) and ".worker" (exit; asked by the
/// worker actor). After a sticky fault every batch fails the same way until `reset`. `clock`
/// decides when answers are given and on which thread they are computed.
std::unique_ptr<device> make_sim_device(sim_options options,
                                        std::shared_ptr<const cpu_engine> engine,
                                        std::shared_ptr<alarm_clock> clock, fault_points& faults);

} // namespace engram
