#pragma once

#include "engram/actors/answer.hpp"
#include "engram/actors/figures.hpp"
#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/base/ids.hpp"
#include "engram/devices/device.hpp"
#include "engram/devices/gpu_sampler.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Registry;
struct MetricFamily;
} // namespace prometheus

namespace engram {

/// What became of the run that was not the first to answer a hedged batch.
enum class hedge_fate : std::uint8_t {
  cancelled, ///< it had not begun, and never did
  dropped,   ///< its answer came and was not used
  failed,    ///< it failed, hung or lost its worker
  last_ = failed
};
std::string_view to_string(hedge_fate fate) noexcept;

/// Every metric, declared once; handles are looked up at construction or first use, never by name
/// on the hot path. Thread-safe.
class metrics {
public:
  /// `devices`: the labels of the devices, by index; 0 is the CPU.
  explicit metrics(std::vector<std::string> devices);
  ~metrics();

  // -- counted where it happens
  // --------------------------------------------------------------------

  /// A request was answered: its status, and for a result where the time went.
  void count_answer(operation op, ec status, const answer_trace& trace);
  void count_batch(operation op, std::size_t device, route_reason reason, std::size_t items);
  void observe_run(operation op, std::size_t device, const device_times& times);
  void count_launch(std::size_t device);
  void count_fallback(std::size_t device, const std::string& cause);
  void count_oom(std::size_t device);
  /// An answer of a GPU was compared with the CPU's.
  void count_check(std::size_t gpu);
  /// They differed.
  void count_wrong_answer(std::size_t gpu);
  /// A GPU is late with a batch, and the CPU was given it as well.
  void count_hedge(std::size_t gpu);
  /// Of the two, one has answered it.
  void count_hedge_win(std::size_t gpu, bool gpu_was_first);
  /// A run of such a batch came to nothing.
  void count_hedge_loser(std::size_t gpu, hedge_fate fate);
  const std::string& device_name(std::size_t device) const { return devices_[device]; }
  void count_worker_restart(std::size_t device, const std::string& cause);
  void count_actor_restart(const std::string& actor);
  /// Predicted CPU time / GPU time of the batch routed last.
  void set_speedup(operation op, std::size_t device, double ratio);

  // -- read when scraped
  // ---------------------------------------------------------------------------

  /// The state of one GPU at this moment.
  struct device_state {
    std::size_t device = 0;
    bool available = false;
    breaker_state breaker = breaker_state::closed;
    breaker_override overridden = breaker_override::automatic;
    double success_rate = 1;
    memory_budget memory;
    std::uint64_t uploaded_bytes = 0;
  };
  struct snapshot {
    std::size_t in_flight = 0;
    std::vector<std::pair<std::string, std::size_t>> queue_depths; ///< actor, waiting
    std::vector<device_state> gpus;
    std::vector<gpu_sample> samples; ///< what NVML said last
  };

  /// Returns everything in Prometheus' text format, with the names of the tuning guide beside ours.
  std::string to_text(const snapshot& now);
  /// Returns what was counted, as numbers.
  pipeline_figures figures(const snapshot& now) const;

private:
  void add_hedge_series(std::size_t gpu);
  void add_rare_series();
  device_figures figures_of(std::size_t device) const;

  struct families;
  std::unique_ptr<prometheus::Registry> registry_;
  std::unique_ptr<families> families_;
  std::vector<std::string> devices_;
};

/// Adds the `nvidia_smi_` gauges of what was sampled; a value that a GPU does not tell has no
/// series.
void add_gpu_gauges(std::vector<prometheus::MetricFamily>& families,
                    const std::vector<gpu_sample>& samples);

/// Adds the spellings that the tuning guide greps and graphs to `families`: copies under other
/// names, and the spreading latency in milliseconds.
void add_guide_names(std::vector<prometheus::MetricFamily>& families);

} // namespace engram
