#pragma once

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/fault_points.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace engram {

/// What a simulated GPU pretends to be.
struct sim_profile {
  std::string_view name;  ///< "h100"
  std::string_view model; ///< "NVIDIA H100 80GB HBM3"
  std::uint64_t memory_bytes = 0;
  double launch_seconds = 0;          ///< launch and completion of one batch
  double pcie_bytes_per_second = 0;   ///< host to device and back
  double memory_bytes_per_second = 0; ///< device memory
  double flops = 0;                   ///< float32 operations a second that a large product reaches
  double edges_per_second = 0;        ///< edges a spreading hop walks in a second
};

/// Returns rtx3060, t4, a100 and h100. The h100's figures are measured, the others from data
/// sheets.
std::span<const sim_profile> sim_profiles() noexcept;
/// Returns the profile of that name, or nullptr.
const sim_profile* find_sim_profile(std::string_view name) noexcept;

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
