#pragma once

#include <cstdint>
#include <span>
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

/// Returns rtx3060, t4, a100 and h100. The h100's figures are measured but for
/// `flops`; that and the others' come from data sheets.
std::span<const sim_profile> sim_profiles() noexcept;
/// Returns the profile of that name, or nullptr.
const sim_profile* find_sim_profile(std::string_view name) noexcept;

} // namespace engram
