#include "engram/actors/metrics.hpp"

#include <prometheus/metric_family.h>

#include <optional>
#include <utility>

namespace engram {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

MetricFamily gauge_family(const char* name, const char* help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  return family;
}

ClientMetric gauge(std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  return metric;
}

template <class T>
std::optional<double> scaled(const std::optional<T>& value, double factor = 1) {
  if (!value) return {};
  return static_cast<double>(*value) * factor;
}

struct value_gauge {
  const char* name;
  const char* help;
  std::optional<double> (*value)(const gpu_reading&);
};

using reading = const gpu_reading&;
constexpr value_gauge value_gauges[] = {
    {"nvidia_smi_utilization_gpu_ratio", "Share of the time in which a kernel ran",
     [](reading r) { return r.utilization_gpu; }},
    {"nvidia_smi_utilization_memory_ratio", "Share of the time in which GPU memory was in use",
     [](reading r) { return r.utilization_memory; }},
    {"nvidia_smi_memory_used_bytes", "GPU memory in use by anybody",
     [](reading r) { return scaled(r.memory_used_bytes); }},
    {"nvidia_smi_memory_total_bytes", "GPU memory",
     [](reading r) { return scaled(r.memory_total_bytes); }},
    {"nvidia_smi_temperature_celsius", "Temperature of the GPU",
     [](reading r) { return scaled(r.temperature_celsius); }},
    {"nvidia_smi_power_draw_watts", "Power that the GPU draws",
     [](reading r) { return r.power_watts; }},
    {"nvidia_smi_power_limit_watts", "Power that the GPU may draw",
     [](reading r) { return r.power_limit_watts; }},
    {"nvidia_smi_clocks_current_sm_clock_hz", "Clock of the multiprocessors",
     [](reading r) { return scaled(r.sm_clock_mhz, 1e6); }},
    {"nvidia_smi_clocks_max_sm_clock_hz", "Highest clock of the multiprocessors",
     [](reading r) { return scaled(r.max_sm_clock_mhz, 1e6); }},
    {"nvidia_smi_clocks_current_memory_clock_hz", "Clock of the GPU memory",
     [](reading r) { return scaled(r.memory_clock_mhz, 1e6); }},
    {"nvidia_smi_clocks_max_memory_clock_hz", "Highest clock of the GPU memory",
     [](reading r) { return scaled(r.max_memory_clock_mhz, 1e6); }},
    {"nvidia_smi_pcie_link_gen_current", "Generation of the PCIe link",
     [](reading r) { return scaled(r.pcie_generation); }},
    {"nvidia_smi_pcie_link_width_current", "Lanes of the PCIe link",
     [](reading r) { return scaled(r.pcie_width); }},
    {"nvidia_smi_ecc_errors_uncorrected", "Uncorrected memory errors since the driver was loaded",
     [](reading r) { return scaled(r.ecc_uncorrected); }},
};

MetricFamily throttle_reasons_of(const std::vector<gpu_sample>& samples) {
  auto family =
      gauge_family("nvidia_smi_throttle_reason", "1 for what holds the clocks of the GPU back");
  for (const auto& [label, gpu] : samples) {
    if (!gpu.throttled_by) continue;
    for (std::size_t r = 0; r < throttle_reason_count; ++r)
      family.metric.push_back(gauge(
          {{"gpu", label}, {"reason", std::string{to_string(static_cast<throttle_reason>(r))}}},
          (*gpu.throttled_by)[r] ? 1 : 0));
  }
  return family;
}

MetricFamily descriptions_of(const std::vector<gpu_sample>& samples) {
  auto family = gauge_family("nvidia_smi_gpu_info", "1; which card the GPU is");
  for (const auto& [label, gpu] : samples)
    family.metric.push_back(
        gauge({{"gpu", label},
               {"index", gpu.index ? std::to_string(*gpu.index) : std::string{}},
               {"name", gpu.name.value_or("")},
               {"uuid", gpu.uuid.value_or("")},
               {"pci_bus_id", gpu.pci_bus_id.value_or("")},
               {"driver_version", gpu.driver_version.value_or("")}},
              1));
  return family;
}

} // namespace

void add_gpu_gauges(std::vector<MetricFamily>& families, const std::vector<gpu_sample>& samples) {
  const auto add = [&families](MetricFamily family) {
    if (!family.metric.empty()) families.push_back(std::move(family));
  };
  for (const auto& each : value_gauges) {
    auto family = gauge_family(each.name, each.help);
    for (const auto& [label, gpu] : samples)
      if (const auto value = each.value(gpu))
        family.metric.push_back(gauge({{"gpu", label}}, *value));
    add(std::move(family));
  }
  add(throttle_reasons_of(samples));
  add(descriptions_of(samples));
}

} // namespace engram
