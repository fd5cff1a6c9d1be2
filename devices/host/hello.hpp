#pragma once

#include "engram/devices/host/message.hpp"
#include "engram/devices/host_policy.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace engram {

/// As `host_hello::gpu`: count them and end.
inline constexpr std::string_view all_cuda_gpus = "cuda";

/// What a child process is told first.
struct host_hello {
  host_role role = host_role::runner;
  std::string gpu;  ///< "cuda:0", "sim:h100"
  std::string name; ///< "gpu0"
  std::uint32_t streams = 4;
  double vram_safety_margin = 0.8;
  std::uint32_t cpu_threads = 0; ///< of a simulated GPU
  std::uint64_t held_bytes = 0;  ///< owner: what there is already of a former owner's
  std::uint32_t slots = 0;       ///< runner: of its channel
  std::uint64_t slot_bytes = 0;  ///< likewise
  bool exits_at_once = false;    ///< trouble made on purpose
  bool never_ready = false;      ///< likewise
};

host_message to_message(const host_hello& hello);
host_hello to_hello(const host_message& message);

/// What a child process says when it can work.
struct host_ready {
  std::string model;
  std::string pci_bus_id;
  std::uint64_t memory_bytes = 0;
  std::uint64_t budget_bytes = 0; ///< of the whole GPU
  std::uint64_t used_bytes = 0;   ///< by this process
};

host_message to_message(const host_ready& ready);
host_ready to_ready(const host_message& message);

} // namespace engram
