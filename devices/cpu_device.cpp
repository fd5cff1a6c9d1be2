#include "engram/devices/cpu_device.hpp"

#include "engram/devices/fault_injection.hpp"

#include <unistd.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <new>
#include <string>
#include <utility>

namespace engram {

namespace {

/// Returns the processor's name as the kernel tells it.
std::string processor_model() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name"))
      if (const auto colon = line.find(": "); colon != std::string::npos)
        return line.substr(colon + 2);
  return "CPU";
}

std::uint64_t physical_memory() noexcept {
  const auto pages = sysconf(_SC_PHYS_PAGES);
  const auto page_bytes = sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_bytes <= 0) return 0;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_bytes);
}

/// Batches of up to so many multiply-adds take about 5 us: less than it takes to wake another
/// thread.
constexpr double quick_work = 50'000;

class cpu_device final : public device {
public:
  cpu_device(std::string name, isa level, std::uint32_t threads, fault_points& faults,
             const clock_source& clock)
      : info_{std::move(name), device_kind::cpu, processor_model(), physical_memory(), 1},
        engine_(level, threads), clock_(clock), launch_site_(info_.name + ".launch"),
        launch_(faults.site(
            launch_site_, "start of a batch on the CPU",
            {fault_action::kind::fail, fault_action::kind::delay, fault_action::kind::hang})),
        result_(faults.site(info_.name + ".result",
                            "results of a batch on the CPU: one bit is changed",
                            {fault_action::kind::corrupt})) {}

  const device_info& info() const noexcept override { return info_; }

  void run(work_batch_ptr batch, run_done done) override {
    const auto start = clock_.now();
    const auto action = launch_.fire();
    if (action.what == fault_action::kind::hang) return;
    // Nothing but this call works for the device, so being slow is keeping its caller.
    if (action.what == fault_action::kind::delay) clock_.sleep_for(action.wait);
    run_outcome outcome;
    outcome.fault = injected_fault(launch_site_, action);
    if (!outcome.fault) compute(*batch, outcome);
    outcome.times.kernel_seconds = to_seconds(clock_.now() - start);
    outcome.times.device_seconds = outcome.times.kernel_seconds;
    done(std::move(outcome));
  }

  bool is_quick(const work_batch& batch) const noexcept override {
    double hops = 1;
    if (batch.op == operation::spread)
      for (const auto& item : batch.items)
        hops = std::max<double>(hops, item.payload->spread.max_hops);
    return batch.work() * hops <= quick_work && !launch_.is_armed(); // armed, it may sleep
  }

  result<void> publish(const dataset_ptr&) override { return {}; }
  void retire(std::uint64_t) override {}
  bool is_resident(std::uint64_t) const override { return true; }
  memory_budget budget() const noexcept override { return {0, info_.memory_bytes}; }
  std::uint64_t workspace_bytes(const work_batch& batch) const noexcept override {
    return input_bytes(batch) + output_bytes(batch);
  }

private:
  void compute(const work_batch& batch, run_outcome& outcome) {
    try {
      outcome.outputs = engine_.compute(batch);
    } catch (const std::bad_alloc&) {
      outcome.fault = {fault_class::oom, "the CPU has no memory left for this batch"};
      return;
    } catch (const std::exception& failure) {
      outcome.fault = {fault_class::transient, std::string("the CPU failed: ") + failure.what()};
      return;
    }
    if (result_.fire().what == fault_action::kind::corrupt) corrupt(outcome.outputs);
  }

  device_info info_;
  cpu_engine engine_;
  const clock_source& clock_;
  std::string launch_site_;
  fault_point& launch_;
  fault_point& result_;
};

} // namespace

std::unique_ptr<device> make_cpu_device(std::string name, isa level, std::uint32_t threads,
                                        fault_points& faults, const clock_source& clock) {
  return std::make_unique<cpu_device>(std::move(name), level, threads, faults, clock);
}

} // namespace engram
