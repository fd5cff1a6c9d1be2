#pragma once

#include "engram/devices/alarm_clock.hpp"
#include "engram/devices/cpu_device.hpp"
#include "engram/devices/device.hpp"

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace engram::test {

/// A device that does what the test says: right answers after `latency`, unless the script has
/// something else for a run. Runs on the thread that calls it or on the clock's. Not thread-safe.
class scripted_device final : public device {
public:
  /// What happens to one run.
  struct act {
    enum class kind { answer, fail, hang, wrong };
    kind what = kind::answer;
    fault_class fault = fault_class::transient;
    duration latency{-1}; ///< negative: the device's
  };

  scripted_device(std::string name, device_kind kind, alarm_clock& clock, std::uint32_t streams = 4)
      : clock_(clock) {
    info_.name = std::move(name);
    info_.kind = kind;
    info_.model = "scripted";
    info_.memory_bytes = 1u << 30;
    info_.streams = streams;
  }

  duration latency{};             ///< 0: answers inside `run`
  double seconds_per_work = 1e-9; ///< what it reports as its time
  std::deque<act> script;         ///< taken from the front, one for each run
  std::uint64_t workspace = 0;    ///< what every batch needs
  std::uint64_t budget_bytes = 1u << 30;
  bool quick = false; ///< what `is_quick` says
  bool can_reset = true;
  std::function<void()>
      on_run; ///< called first in every run: what happens while the worker is busy
  std::vector<work_batch_ptr> seen; ///< every batch, in order
  std::size_t resets = 0;

  const device_info& info() const noexcept override { return info_; }

  void run(work_batch_ptr batch, run_done done) override {
    seen.push_back(batch);
    if (on_run) on_run();
    act now;
    if (!script.empty()) {
      now = script.front();
      script.pop_front();
    }
    if (now.what == act::kind::hang) return;
    const auto wait = now.latency < duration::zero() ? latency : now.latency;
    if (wait == duration::zero()) return finish(now, *batch, done);
    clock_.call_at(clock_.now() + wait, [this, now, batch, done] { finish(now, *batch, done); });
  }

  result<void> publish(const dataset_ptr& data) override {
    resident_.insert(data->key);
    return {};
  }
  void retire(std::uint64_t key) override { resident_.erase(key); }
  bool is_resident(std::uint64_t key) const override { return resident_.contains(key); }
  memory_budget budget() const noexcept override { return {0, budget_bytes}; }
  std::uint64_t workspace_bytes(const work_batch&) const noexcept override { return workspace; }
  bool is_quick(const work_batch&) const noexcept override { return quick; }
  bool reset() override {
    ++resets;
    return can_reset;
  }

private:
  void finish(const act& now, const work_batch& batch, const run_done& done) {
    run_outcome outcome;
    if (now.what == act::kind::fail) {
      outcome.fault = device_fault{now.fault, "as scripted"};
      return done(std::move(outcome));
    }
    outcome.outputs = compute_reference(batch);
    if (now.what == act::kind::wrong)
      for (auto& output : outcome.outputs) {
        for (auto& hit : output.hits)
          hit.score += 1.0f;
        for (auto& score : output.scores)
          score += 1.0f;
      }
    outcome.times.kernel_seconds = outcome.times.device_seconds =
        seconds_per_work * (1.0 + batch.work());
    done(std::move(outcome));
  }

  device_info info_;
  alarm_clock& clock_;
  std::set<std::uint64_t> resident_;
};

} // namespace engram::test
