#include "engram/devices/nvml.hpp"

#include <dlfcn.h>

#include <array>

namespace engram {

namespace {

// The part of NVML's interface that is used here, by its documented binary form.
using nvml_result = int; // 0: success
using nvml_device = void*;

constexpr unsigned gpu_sensor = 0;
constexpr unsigned shutdown_threshold = 0;
constexpr unsigned slowdown_threshold = 1;
constexpr unsigned sm_clock = 1;
constexpr unsigned memory_clock = 2;
constexpr unsigned uncorrected_errors = 1;
constexpr unsigned since_driver_load = 0;

struct nvml_utilization {
  unsigned gpu_percent = 0;
  unsigned memory_percent = 0;
};

struct nvml_memory {
  unsigned long long total_bytes = 0;
  unsigned long long free_bytes = 0;
  unsigned long long used_bytes = 0;
};

struct nvml_pci {
  char short_bus_id[16] = {};
  unsigned domain = 0;
  unsigned bus = 0;
  unsigned device = 0;
  unsigned device_id = 0;
  unsigned subsystem_id = 0;
  char bus_id[32] = {};
};

using get_text = nvml_result (*)(nvml_device, char* out, unsigned size);
using get_number = nvml_result (*)(nvml_device, unsigned* out);
using get_number_of = nvml_result (*)(nvml_device, unsigned which, unsigned* out);
using get_two_numbers = nvml_result (*)(nvml_device, unsigned* first, unsigned* second);

/// Returns false if the library has no such symbol.
template <class Function>
bool find(void* library, const char* symbol, Function& out) {
  out = reinterpret_cast<Function>(dlsym(library, symbol));
  return out != nullptr;
}

// A symbol that an old library lacks and a value that a GPU does not support look the same: absent.

std::optional<std::string> text(get_text ask, nvml_device gpu) {
  std::array<char, 128> out{};
  if (!ask || ask(gpu, out.data(), static_cast<unsigned>(out.size() - 1)) != 0) return {};
  return out.data();
}

std::optional<unsigned> number(get_number ask, nvml_device gpu) {
  unsigned out = 0;
  if (!ask || ask(gpu, &out) != 0) return {};
  return out;
}

std::optional<unsigned> number_of(get_number_of ask, nvml_device gpu, unsigned which) {
  unsigned out = 0;
  if (!ask || ask(gpu, which, &out) != 0) return {};
  return out;
}

std::optional<bool> truth(std::optional<unsigned> value) {
  if (!value) return {};
  return *value != 0;
}

/// Returns the setting in force; the second number is the one after the next reset.
std::optional<bool> mode(get_two_numbers ask, nvml_device gpu) {
  unsigned now = 0, later = 0;
  if (!ask || ask(gpu, &now, &later) != 0) return {};
  return now != 0;
}

std::optional<double> watts(std::optional<unsigned> milliwatts) {
  if (!milliwatts) return {};
  return *milliwatts / 1000.0;
}

} // namespace

std::string_view to_string(throttle_reason reason) noexcept {
  constexpr std::array<std::string_view, throttle_reason_count> names{"gpu_idle",
                                                                      "applications_clocks_setting",
                                                                      "sw_power_cap",
                                                                      "hw_slowdown",
                                                                      "sync_boost",
                                                                      "sw_thermal_slowdown",
                                                                      "hw_thermal_slowdown",
                                                                      "hw_power_brake_slowdown",
                                                                      "display_clock_setting"};
  return names[static_cast<std::size_t>(reason)];
}

struct nvml::functions {
  nvml_result (*init)() = nullptr;
  nvml_result (*shutdown)() = nullptr;
  const char* (*error_string)(nvml_result code) = nullptr;
  nvml_result (*count)(unsigned* out) = nullptr;
  nvml_result (*by_index)(unsigned index, nvml_device* out) = nullptr;
  nvml_result (*by_bus_id)(const char* bus_id, nvml_device* out) = nullptr;

  nvml_result (*driver_version)(char* out, unsigned size) = nullptr;
  get_number index = nullptr;
  get_text name = nullptr, uuid = nullptr;
  nvml_result (*pci)(nvml_device, nvml_pci* out) = nullptr;
  nvml_result (*utilization)(nvml_device, nvml_utilization* out) = nullptr;
  nvml_result (*memory)(nvml_device, nvml_memory* out) = nullptr;
  get_number_of temperature = nullptr, threshold = nullptr;
  get_number power = nullptr, power_limit = nullptr, default_power_limit = nullptr;
  get_two_numbers power_limits = nullptr;
  get_number_of clock = nullptr, max_clock = nullptr;
  nvml_result (*reasons)(nvml_device, unsigned long long* out) = nullptr;
  get_number pcie_generation = nullptr, pcie_width = nullptr, max_pcie_generation = nullptr,
             max_pcie_width = nullptr, card_pcie_generation = nullptr;
  get_two_numbers ecc = nullptr, mig = nullptr;
  nvml_result (*ecc_errors)(nvml_device, unsigned type, unsigned since,
                            unsigned long long* out) = nullptr;
  get_number persistence = nullptr;

  /// Looks all of them up; returns false if one is missing without which nothing can be read.
  bool load(void* library) {
    find(library, "nvmlSystemGetDriverVersion", driver_version);
    find(library, "nvmlDeviceGetIndex", index);
    find(library, "nvmlDeviceGetName", name);
    find(library, "nvmlDeviceGetUUID", uuid);
    find(library, "nvmlDeviceGetPciInfo_v3", pci);
    find(library, "nvmlDeviceGetUtilizationRates", utilization);
    find(library, "nvmlDeviceGetMemoryInfo", memory);
    find(library, "nvmlDeviceGetTemperature", temperature);
    find(library, "nvmlDeviceGetTemperatureThreshold", threshold);
    find(library, "nvmlDeviceGetPowerUsage", power);
    find(library, "nvmlDeviceGetPowerManagementLimit", power_limit);
    find(library, "nvmlDeviceGetPowerManagementDefaultLimit", default_power_limit);
    find(library, "nvmlDeviceGetPowerManagementLimitConstraints", power_limits);
    find(library, "nvmlDeviceGetClockInfo", clock);
    find(library, "nvmlDeviceGetMaxClockInfo", max_clock);
    if (!find(library, "nvmlDeviceGetCurrentClocksEventReasons", reasons))
      find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", reasons); // its name before 535
    find(library, "nvmlDeviceGetCurrPcieLinkGeneration", pcie_generation);
    find(library, "nvmlDeviceGetCurrPcieLinkWidth", pcie_width);
    find(library, "nvmlDeviceGetMaxPcieLinkGeneration", max_pcie_generation);
    find(library, "nvmlDeviceGetMaxPcieLinkWidth", max_pcie_width);
    find(library, "nvmlDeviceGetGpuMaxPcieLinkGeneration", card_pcie_generation);
    find(library, "nvmlDeviceGetEccMode", ecc);
    find(library, "nvmlDeviceGetTotalEccErrors", ecc_errors);
    find(library, "nvmlDeviceGetMigMode", mig);
    find(library, "nvmlDeviceGetPersistenceMode", persistence);
    return find(library, "nvmlInit_v2", init) && find(library, "nvmlShutdown", shutdown) &&
           find(library, "nvmlErrorString", error_string) &&
           find(library, "nvmlDeviceGetCount_v2", count) &&
           find(library, "nvmlDeviceGetHandleByIndex_v2", by_index) &&
           find(library, "nvmlDeviceGetHandleByPciBusId_v2", by_bus_id);
  }

  void read_load(nvml_device gpu, gpu_reading& out) const {
    nvml_utilization rates;
    if (utilization && utilization(gpu, &rates) == 0) {
      out.utilization_gpu = rates.gpu_percent / 100.0;
      out.utilization_memory = rates.memory_percent / 100.0;
    }
    nvml_memory bytes;
    if (memory && memory(gpu, &bytes) == 0) {
      out.memory_used_bytes = bytes.used_bytes;
      out.memory_total_bytes = bytes.total_bytes;
    }
  }

  void read_heat_and_power(nvml_device gpu, gpu_reading& out) const {
    out.temperature_celsius = number_of(temperature, gpu, gpu_sensor);
    out.slowdown_celsius = number_of(threshold, gpu, slowdown_threshold);
    out.shutdown_celsius = number_of(threshold, gpu, shutdown_threshold);
    out.power_watts = watts(number(power, gpu));
    out.power_limit_watts = watts(number(power_limit, gpu));
    out.default_power_limit_watts = watts(number(default_power_limit, gpu));
    unsigned least = 0, most = 0;
    if (power_limits && power_limits(gpu, &least, &most) == 0) {
      out.min_power_limit_watts = watts(least);
      out.max_power_limit_watts = watts(most);
    }
  }

  void read_clocks(nvml_device gpu, gpu_reading& out) const {
    out.sm_clock_mhz = number_of(clock, gpu, sm_clock);
    out.max_sm_clock_mhz = number_of(max_clock, gpu, sm_clock);
    out.memory_clock_mhz = number_of(clock, gpu, memory_clock);
    out.max_memory_clock_mhz = number_of(max_clock, gpu, memory_clock);
    unsigned long long bits = 0;
    if (reasons && reasons(gpu, &bits) == 0) out.throttled_by = throttle_reasons{bits};
  }

  void read_link_and_modes(nvml_device gpu, gpu_reading& out) const {
    out.pcie_generation = number(pcie_generation, gpu);
    out.pcie_width = number(pcie_width, gpu);
    out.max_pcie_generation = number(max_pcie_generation, gpu);
    out.max_pcie_width = number(max_pcie_width, gpu);
    out.card_pcie_generation = number(card_pcie_generation, gpu);
    out.ecc_enabled = mode(ecc, gpu);
    unsigned long long errors = 0;
    if (ecc_errors && ecc_errors(gpu, uncorrected_errors, since_driver_load, &errors) == 0)
      out.ecc_uncorrected = errors;
    out.mig_enabled = mode(mig, gpu);
    out.persistence_mode = truth(number(persistence, gpu));
  }

  gpu_reading read(nvml_device gpu) const {
    gpu_reading out;
    out.index = number(index, gpu);
    out.name = text(name, gpu);
    out.uuid = text(uuid, gpu);
    nvml_pci place;
    if (pci && pci(gpu, &place) == 0) out.pci_bus_id = place.bus_id;
    read_load(gpu, out);
    read_heat_and_power(gpu, out);
    read_clocks(gpu, out);
    read_link_and_modes(gpu, out);
    return out;
  }
};

nvml::nvml(const std::string& library) : call_(std::make_unique<functions>()) {
  library_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library_)
    trouble_ = "there is no NVML (" + library + ") on this machine";
  else if (!call_->load(library_))
    trouble_ = "the NVML library " + library + " is older than this program knows";
  else
    trouble_ = start();
}

/// Returns why it does not start, else nothing.
std::string nvml::start() {
  if (const auto code = call_->init(); code != 0) {
    const char* why = call_->error_string(code);
    return "NVML does not start: " + (why ? std::string{why} : "error " + std::to_string(code));
  }
  started_ = true;
  std::array<char, 128> version{};
  if (call_->driver_version &&
      call_->driver_version(version.data(), static_cast<unsigned>(version.size() - 1)) == 0)
    driver_version_ = version.data();
  return {};
}

nvml::~nvml() {
  if (started_) call_->shutdown();
  if (library_) dlclose(library_);
}

std::vector<gpu_reading> nvml::read_all() const {
  std::vector<gpu_reading> out;
  unsigned count = 0;
  if (!started_ || call_->count(&count) != 0) return out;
  for (unsigned i = 0; i < count; ++i) {
    nvml_device gpu = nullptr;
    if (call_->by_index(i, &gpu) != 0) continue; // not ours to see, or lost
    out.push_back(call_->read(gpu));
    out.back().index = i;
    out.back().driver_version = driver_version_;
  }
  return out;
}

std::optional<gpu_reading> nvml::read(const std::string& pci_bus_id) const {
  nvml_device gpu = nullptr;
  if (!started_ || call_->by_bus_id(pci_bus_id.c_str(), &gpu) != 0) return {};
  auto out = call_->read(gpu);
  out.driver_version = driver_version_;
  return out;
}

} // namespace engram
