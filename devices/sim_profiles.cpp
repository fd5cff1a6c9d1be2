#include "engram/devices/sim_device.hpp"

namespace engram {

namespace {

constexpr std::uint64_t MiB = 1ULL << 20;

// Of the h100 were measured: launch and completion, pinned copies, a plain read of its memory, and
// hops of cuSPARSE over 16 edges a node. The others have their data sheet's memory and bandwidth,
// and edges in proportion to it. Each is given three quarters of its data sheet's float32 rate.
constexpr sim_profile profiles[] = {
    {"rtx3060", "NVIDIA GeForce RTX 3060", 12'288 * MiB, 10e-6, 25e9, 360e9, 9.5e12, 12e9},
    {"t4", "NVIDIA Tesla T4", 15'360 * MiB, 10e-6, 12e9, 320e9, 6.1e12, 10e9},
    {"a100", "NVIDIA A100 40GB", 40'960 * MiB, 10e-6, 25e9, 1555e9, 14.6e12, 51e9},
    {"h100", "NVIDIA H100 80GB HBM3", 81'559 * MiB, 8.5e-6, 55e9, 3050e9, 50e12, 100e9},
};

} // namespace

std::span<const sim_profile> sim_profiles() noexcept {
  return profiles;
}

const sim_profile* find_sim_profile(std::string_view name) noexcept {
  for (const auto& profile : profiles)
    if (profile.name == name) return &profile;
  return nullptr;
}

} // namespace engram
