#include "engram/app/gpu_reading.hpp"

#include "engram/app/table.hpp"
#include "engram/service/json_writer.hpp"

#include <array>
#include <cstdio>

namespace engram {

namespace {

constexpr const char* unknown = "-";

std::string number(double value) {
  std::array<char, 32> out{};
  std::snprintf(out.data(), out.size(), "%.4g", value);
  return out.data();
}

template <class T>
std::string with_unit(const std::optional<T>& value, const std::string& unit) {
  return value ? number(static_cast<double>(*value)) + unit : unknown;
}

std::string percent(const std::optional<double>& ratio) {
  return ratio ? number(100 * *ratio) + " %" : unknown;
}

std::string bytes(const std::optional<std::uint64_t>& value) {
  return value ? human_bytes(static_cast<double>(*value)) : unknown;
}

std::string on_or_off(const std::optional<bool>& value) {
  return value ? *value ? "on" : "off" : unknown;
}

template <class T>
std::string of_most(const std::optional<T>& value, const std::optional<T>& most,
                    const std::string& unit) {
  return with_unit(value, most ? "" : unit) + (most ? " of " + with_unit(most, unit) : "");
}

/// Returns one word a reason, so that "none" is not mistaken for "not known".
std::string reasons(const std::optional<throttle_reasons>& held_by) {
  if (!held_by) return unknown;
  std::string out;
  for (std::size_t r = 0; r < throttle_reason_count; ++r)
    if ((*held_by)[r])
      out += (out.empty() ? "" : ", ") + std::string{to_string(static_cast<throttle_reason>(r))};
  return out.empty() ? "nothing" : out;
}

std::string link(const std::optional<unsigned>& generation, const std::optional<unsigned>& width) {
  return "generation " + with_unit(generation, "") + " x" + with_unit(width, "");
}

} // namespace

std::string reading_text(const gpu_reading& gpu) {
  text_table table{{{""}, {""}}};
  const auto add = [&](const char* what, bool is_known, const std::string& value) {
    table.add({std::string{"  "} + what, is_known ? value : unknown});
  };
  add("PCI bus id", true, gpu.pci_bus_id.value_or(unknown));
  add("UUID", true, gpu.uuid.value_or(unknown));
  add("utilization", gpu.utilization_gpu || gpu.utilization_memory,
      percent(gpu.utilization_gpu) + " of the time a kernel ran, memory in use " +
          percent(gpu.utilization_memory));
  add("memory", gpu.memory_used_bytes || gpu.memory_total_bytes,
      bytes(gpu.memory_used_bytes) + " of " + bytes(gpu.memory_total_bytes) + " used");
  add("temperature", gpu.temperature_celsius || gpu.slowdown_celsius || gpu.shutdown_celsius,
      with_unit(gpu.temperature_celsius, " C") + " (slowdown at " +
          with_unit(gpu.slowdown_celsius, " C") + ", shutdown at " +
          with_unit(gpu.shutdown_celsius, " C") + ")");
  add("power", gpu.power_watts || gpu.power_limit_watts || gpu.max_power_limit_watts,
      of_most(gpu.power_watts, gpu.power_limit_watts, " W") + " (default " +
          with_unit(gpu.default_power_limit_watts, " W") + ", can be set to " +
          with_unit(gpu.min_power_limit_watts, "") + ".." +
          with_unit(gpu.max_power_limit_watts, " W") + ")");
  add("clocks", gpu.sm_clock_mhz || gpu.memory_clock_mhz,
      "SM " + of_most(gpu.sm_clock_mhz, gpu.max_sm_clock_mhz, " MHz") + ", memory " +
          of_most(gpu.memory_clock_mhz, gpu.max_memory_clock_mhz, " MHz"));
  add("held back by", true, reasons(gpu.throttled_by));
  add("PCIe", gpu.pcie_generation || gpu.pcie_width || gpu.max_pcie_generation,
      link(gpu.pcie_generation, gpu.pcie_width) + " (here at most " +
          link(gpu.max_pcie_generation, gpu.max_pcie_width) + ", the card generation " +
          with_unit(gpu.card_pcie_generation, "") + ")");
  add("ECC", gpu.ecc_enabled || gpu.ecc_uncorrected,
      on_or_off(gpu.ecc_enabled) + ", uncorrected errors: " + with_unit(gpu.ecc_uncorrected, ""));
  add("MIG", true, on_or_off(gpu.mig_enabled));
  add("persistence mode", true, on_or_off(gpu.persistence_mode));
  return table.to_string();
}

void write_reading(json_writer& out, const gpu_reading& gpu) {
  const auto field = [&out](const char* name, const auto& value) {
    if (value) out.field(name, *value);
  };
  out.begin_object();
  field("index", gpu.index);
  field("name", gpu.name);
  field("uuid", gpu.uuid);
  field("pci_bus_id", gpu.pci_bus_id);
  field("driver_version", gpu.driver_version);
  field("utilization_gpu_ratio", gpu.utilization_gpu);
  field("utilization_memory_ratio", gpu.utilization_memory);
  field("memory_used_bytes", gpu.memory_used_bytes);
  field("memory_total_bytes", gpu.memory_total_bytes);
  field("temperature_celsius", gpu.temperature_celsius);
  field("slowdown_celsius", gpu.slowdown_celsius);
  field("shutdown_celsius", gpu.shutdown_celsius);
  field("power_watts", gpu.power_watts);
  field("power_limit_watts", gpu.power_limit_watts);
  field("default_power_limit_watts", gpu.default_power_limit_watts);
  field("min_power_limit_watts", gpu.min_power_limit_watts);
  field("max_power_limit_watts", gpu.max_power_limit_watts);
  field("sm_clock_mhz", gpu.sm_clock_mhz);
  field("max_sm_clock_mhz", gpu.max_sm_clock_mhz);
  field("memory_clock_mhz", gpu.memory_clock_mhz);
  field("max_memory_clock_mhz", gpu.max_memory_clock_mhz);
  if (gpu.throttled_by) {
    out.key("throttled_by").begin_array();
    for (std::size_t r = 0; r < throttle_reason_count; ++r)
      if ((*gpu.throttled_by)[r]) out.value(to_string(static_cast<throttle_reason>(r)));
    out.end_array();
  }
  field("pcie_generation", gpu.pcie_generation);
  field("pcie_width", gpu.pcie_width);
  field("max_pcie_generation", gpu.max_pcie_generation);
  field("max_pcie_width", gpu.max_pcie_width);
  field("card_pcie_generation", gpu.card_pcie_generation);
  field("ecc_enabled", gpu.ecc_enabled);
  field("ecc_uncorrected", gpu.ecc_uncorrected);
  field("mig_enabled", gpu.mig_enabled);
  field("persistence_mode", gpu.persistence_mode);
  out.end_object();
}

} // namespace engram
