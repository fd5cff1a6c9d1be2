#pragma once

#include "engram/base/clock.hpp"
#include "engram/base/error.hpp"
#include "engram/devices/work.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engram {

/// How a device failed. The caller of a request never sees these.
enum class fault_class : std::uint8_t {
  oom,       ///< memory did not suffice; a smaller batch may fit
  transient, ///< this batch failed, the next may succeed
  sticky,    ///< the device is lost to this process
  no_device, ///< there is no such device (any more)
  last_ = no_device
};

std::string_view to_string(fault_class kind) noexcept;
std::optional<fault_class> parse_fault_class(std::string_view name) noexcept;

struct device_fault {
  fault_class kind = fault_class::transient;
  std::string message;
  bool injected = false; ///< by a fault point: nothing is really broken
};

/// Returns true if the device is lost, and not just a batch.
inline bool is_loss(const device_fault& fault) noexcept {
  return fault.kind == fault_class::sticky || fault.kind == fault_class::no_device;
}

/// Where a batch's time on the device went, in seconds. `device_seconds` is the time the device was
/// occupied: what cost predictions learn from. A simulated device reports its profile's time.
struct device_times {
  double transfer_seconds = 0;
  double kernel_seconds = 0;
  double device_seconds = 0;
};

/// One output for each item of the batch, or the fault that kept them from being made.
struct run_outcome {
  std::vector<item_output> outputs;
  std::optional<device_fault> fault;
  device_times times;
};

using run_done = std::function<void(run_outcome)>;

enum class device_kind : std::uint8_t { cpu, cuda, simulated };
std::string_view to_string(device_kind kind) noexcept;

struct device_info {
  std::string name; ///< label in metrics and answers, and prefix of fault sites: "cpu", "gpu0"
  device_kind kind = device_kind::cpu;
  std::string model; ///< "AMD EPYC ...", "simulated NVIDIA H100"
  std::uint64_t memory_bytes = 0;
  std::uint32_t streams = 1;   ///< batches it works on at once
  std::string pci_bus_id = {}; ///< "0000:07:00.0"; empty for what is no real GPU
};

struct memory_budget {
  std::uint64_t used_bytes = 0;
  std::uint64_t budget_bytes = 0; ///< memory x vram_safety_margin for a GPU
};

/// What a device says of itself, outside any run.
struct device_event {
  enum class kind : std::uint8_t {
    lost,     ///< what ran on it was failed; it cannot serve until it is restored
    restored, ///< it can serve again: let it prove itself at once
    note,     ///< for the log alone
  };
  kind what = kind::note;
  std::string cause;   ///< a word of a bounded set, for metrics: "sticky", "hung"
  std::string message; ///< one sentence for the log
};
using device_listener = std::function<void(const device_event&)>;

/// A process of its own that a device keeps, for people and for tests that end one.
struct device_process {
  std::string role; ///< "owner", "runner", "standby"; "starting" until it can take over
  int pid = 0;
};

/// Something that runs batches: a CPU, a GPU, or a pretended GPU. Thread-safe.
class device {
public:
  virtual ~device() = default;

  virtual const device_info& info() const noexcept = 0;

  /// Starts `batch` and returns soon (a device without an engine of its own runs it first). `done`
  /// is called exactly once, on any thread, unless the device hangs; it must not throw or block.
  /// After the destructor has returned, no `done` is called any more.
  virtual void run(work_batch_ptr batch, run_done done) = 0;

  /// Returns true if `run` returns within a few microseconds and does not block for `batch`: it
  /// need not be handed to another thread.
  virtual bool is_quick(const work_batch& batch) const noexcept {
    (void)batch;
    return false;
  }

  /// Makes `data` resident. `resource_exhausted` (says how much is missing) leaves everything as it
  /// was.
  virtual result<void> publish(const dataset_ptr& data) = 0;
  /// Forgets a dataset by its key; batches that run on it finish.
  virtual void retire(std::uint64_t dataset_key) = 0;
  virtual bool is_resident(std::uint64_t dataset_key) const = 0;
  virtual memory_budget budget() const noexcept = 0;
  /// Returns the device memory, in bytes, that running `batch` takes beyond resident data.
  virtual std::uint64_t workspace_bytes(const work_batch& batch) const noexcept = 0;
  /// Brings a device back after a sticky fault, with its resident data; true if it can serve again.
  virtual bool reset() { return true; }
  /// Names who hears of its events, on a thread of the device, until the destructor returns. Call
  /// once, before `run`. A device that cannot be restored says nothing.
  virtual void listen(device_listener listener) { (void)listener; }
  /// Returns how many bytes of datasets were copied to it, ever.
  virtual std::uint64_t uploaded_bytes() const noexcept { return 0; }
  /// Returns the child processes that it keeps now; none when it works in this process.
  virtual std::vector<device_process> processes() const { return {}; }
};

/// Runs `batch` and waits for its outcome; nothing if there is none within `patience`.
std::optional<run_outcome> run_and_wait(device& on, work_batch_ptr batch, duration patience);

} // namespace engram
