#pragma once

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/device.hpp"

#include <cstddef>
#include <memory>

namespace engram::simulation {

/// Hears of every run of every device.
class device_watcher {
public:
  virtual ~device_watcher() = default;
  virtual void on_begin(std::size_t device, const work_batch_ptr& batch) = 0;
  virtual void on_end(std::size_t device, const work_batch_ptr& batch,
                      const run_outcome& outcome) = 0;
};

/// How long a device takes that answers at once by itself: one batch after the other.
struct pace {
  double seconds_each = 0;
  double seconds_per_work = 0;
};

/// Another device, with somebody watching.
class observed_device final : public device {
public:
  observed_device(std::unique_ptr<device> inner, std::size_t index, device_watcher& watcher,
                  alarm_clock& clock)
      : inner_(std::move(inner)), index_(index), watcher_(watcher), clock_(clock) {}

  /// From now on answers take as long as `how` says; the inner one must answer inside `run`.
  void set_pace(pace how) noexcept {
    pace_ = how;
    is_paced_ = true;
  }

  const device_info& info() const noexcept override { return inner_->info(); }
  void run(work_batch_ptr batch, run_done done) override;
  bool is_quick(const work_batch& batch) const noexcept override { return inner_->is_quick(batch); }
  result<void> publish(const dataset_ptr& data) override { return inner_->publish(data); }
  void retire(std::uint64_t key) override { inner_->retire(key); }
  bool is_resident(std::uint64_t key) const override { return inner_->is_resident(key); }
  memory_budget budget() const noexcept override { return inner_->budget(); }
  std::uint64_t workspace_bytes(const work_batch& batch) const noexcept override {
    return inner_->workspace_bytes(batch);
  }
  bool reset() override { return inner_->reset(); }
  void listen(device_listener listener) override { inner_->listen(std::move(listener)); }

private:
  void end(const work_batch_ptr& batch, run_outcome outcome, const run_done& done);

  std::unique_ptr<device> inner_;
  std::size_t index_;
  device_watcher& watcher_;
  alarm_clock& clock_;
  bool is_paced_ = false;
  pace pace_;
  time_point free_at_{};
};

} // namespace engram::simulation
