#include "engram/actors/metrics.hpp"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <optional>

namespace engram {

namespace {

using prometheus::MetricFamily;

std::optional<MetricFamily> copy_of(const std::vector<MetricFamily>& families,
                                    std::string_view name, std::string_view new_name) {
  const auto found = std::ranges::find(families, name, &MetricFamily::name);
  if (found == families.end()) return std::nullopt;
  auto copy = *found;
  copy.name = new_name;
  copy.help = "The tuning guide's name of " + std::string{name};
  return copy;
}

/// Keeps the spreading requests and turns their seconds into milliseconds.
void keep_spread_in_milliseconds(MetricFamily& family) {
  std::erase_if(family.metric, [](const prometheus::ClientMetric& metric) {
    return std::ranges::none_of(metric.label, [](const auto& label) {
      return label.name == "op" && label.value == "spread";
    });
  });
  for (auto& metric : family.metric) {
    metric.label.clear();
    metric.histogram.sample_sum *= 1000.0;
    for (auto& bucket : metric.histogram.bucket)
      bucket.upper_bound *= 1000.0;
  }
}

} // namespace

void add_guide_names(std::vector<MetricFamily>& families) {
  constexpr std::pair<std::string_view, std::string_view> same_values[] = {
      {"engram_gpu_launch_total", "gpu_launches"},
      {"engram_gpu_launch_total", "engram_gpu_launches_total"},
      {"engram_gpu_fallback_total", "gpu_fallbacks"},
      {"engram_batch_size", "batch_size_histogram"},
      {"engram_gpu_speedup_ratio", "engram_gpu_speedup_derived"},
  };
  std::vector<MetricFamily> more;
  for (const auto& [name, alias] : same_values)
    if (auto copy = copy_of(families, name, alias)) more.push_back(std::move(*copy));
  if (auto spread =
          copy_of(families, "engram_request_latency_seconds", "engram_spreading_latency")) {
    spread->help = "Latency of spread requests in milliseconds, as the tuning guide graphs it";
    keep_spread_in_milliseconds(*spread);
    more.push_back(std::move(*spread));
  }
  families.insert(families.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}

} // namespace engram
