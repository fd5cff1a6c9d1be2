#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// Why the clocks of a GPU are lower than they could be, in the order of NVML's bits.
enum class throttle_reason : std::uint8_t {
  gpu_idle,
  applications_clocks_setting,
  sw_power_cap,
  hw_slowdown,
  sync_boost,
  sw_thermal_slowdown,
  hw_thermal_slowdown,
  hw_power_brake_slowdown,
  display_clock_setting,
  last_ = display_clock_setting
};

inline constexpr std::size_t throttle_reason_count =
    static_cast<std::size_t>(throttle_reason::last_) + 1;
using throttle_reasons = std::bitset<throttle_reason_count>; ///< by throttle_reason

std::string_view to_string(throttle_reason reason) noexcept;
inline bool has(const throttle_reasons& reasons, throttle_reason which) noexcept {
  return reasons[static_cast<std::size_t>(which)];
}

/// What NVML says of one GPU at one moment. What it does not say is absent.
struct gpu_reading {
  std::optional<unsigned> index; ///< as `nvidia-smi -i` takes it
  std::optional<std::string> name;
  std::optional<std::string> uuid;
  std::optional<std::string> pci_bus_id;
  std::optional<std::string> driver_version;

  std::optional<double> utilization_gpu;    ///< share of the time in which a kernel ran, 0..1
  std::optional<double> utilization_memory; ///< share of the time in which memory was used, 0..1
  std::optional<std::uint64_t> memory_used_bytes;
  std::optional<std::uint64_t> memory_total_bytes;

  std::optional<unsigned> temperature_celsius;
  std::optional<unsigned> slowdown_celsius; ///< where it lowers its clocks
  std::optional<unsigned> shutdown_celsius;
  std::optional<double> power_watts;
  std::optional<double> power_limit_watts;
  std::optional<double> default_power_limit_watts;
  std::optional<double> min_power_limit_watts;
  std::optional<double> max_power_limit_watts;

  std::optional<unsigned> sm_clock_mhz;
  std::optional<unsigned> max_sm_clock_mhz;
  std::optional<unsigned> memory_clock_mhz;
  std::optional<unsigned> max_memory_clock_mhz;
  std::optional<throttle_reasons> throttled_by;

  std::optional<unsigned> pcie_generation; ///< now; an idle GPU lowers it
  std::optional<unsigned> pcie_width;
  std::optional<unsigned> max_pcie_generation; ///< of this card in this machine
  std::optional<unsigned> max_pcie_width;
  std::optional<unsigned> card_pcie_generation; ///< of this card in any machine

  std::optional<bool> ecc_enabled;
  std::optional<std::uint64_t> ecc_uncorrected; ///< memory errors since the driver was loaded
  std::optional<bool> mig_enabled;
  std::optional<bool> persistence_mode;
};

/// NVIDIA's management library, which `nvidia-smi` reads too, loaded at run time. It only reads:
/// no function that changes a setting is even looked up. One thread at a time.
class nvml {
public:
  static constexpr const char* usual_library = "libnvidia-ml.so.1";

  explicit nvml(const std::string& library = usual_library);
  ~nvml();
  nvml(const nvml&) = delete;
  nvml& operator=(const nvml&) = delete;

  /// Returns why nothing can be read, in one sentence; empty if NVML works.
  const std::string& trouble() const noexcept { return trouble_; }

  /// Returns every GPU that this process may see; none if there is trouble. It does not know of
  /// CUDA_VISIBLE_DEVICES.
  std::vector<gpu_reading> read_all() const;
  /// Returns the GPU at that place, as CUDA or NVML writes it; nothing if there is none. For a MIG
  /// slice that is the GPU which it is a part of.
  std::optional<gpu_reading> read(const std::string& pci_bus_id) const;

private:
  struct functions;
  std::string start();

  void* library_ = nullptr;
  std::unique_ptr<functions> call_;
  bool started_ = false;
  std::string trouble_;
  std::optional<std::string> driver_version_;
};

} // namespace engram
