#pragma once

#include "engram/actors/core.hpp"
#include "engram/actors/policy/route_policy.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

namespace engram {

/// What the ROUTER does: enters each batch in the ledger, sends it where `decide_route` says, and
/// strikes it when an answer is there. A batch that a GPU fails, loses or is late with is answered
/// by the CPU. Owns no state that a request depends on: that is the ledger's.
class router_logic {
public:
  /// Takes over a ledger that may hold batches of a router that died.
  explicit router_logic(pipeline_core& core);

  void on_orders();
  void on_run_reports();
  void on_workers_changed();
  void on_probes_wanted();
  void on_timer();
  std::optional<time_point> next_due();

private:
  // -- dispatching: router_logic.cpp --
  void follow_options();
  void rebuild_alarms();
  void start_what_can_wait();
  void drop_stale_alarms();
  std::optional<time_point> next_alarm();
  void dispatch(batch_id batch);
  bool try_dispatch(batch_id batch, ledger_entry& entry);
  route choose(const work_batch& batch);
  void start_primary(ledger_entry& entry, std::size_t device);
  void start(device_run run, strike_flag struck = {});
  void retry_waiting();
  bool has_credit(std::size_t device) const;
  std::optional<double> predict(const work_batch& batch, std::size_t device) const;
  void strike(batch_id batch);

  // -- what comes back: router_results.cpp --
  void on_report(run_report& report);
  void on_success(const device_run& run, run_report& report);
  void on_fault(const device_run& run, const device_fault& fault);
  void fall_back(batch_id batch, std::size_t device, const std::string& cause);
  void split_and_retry(batch_id batch, std::size_t device);
  void deliver(ledger_entry& entry, const device_run& run, run_report& report);
  void lose(run_id id, const std::string& cause);
  void on_late_run(run_id id, device_run& run, time_point now);
  void hedge(ledger_entry& entry, device_run& late);
  void on_hedge_won(const ledger_entry& entry, const device_run& winner);
  void on_hedge_lost(const device_run& loser, hedge_fate fate);
  void on_deadline(batch_id batch, ledger_entry& entry, time_point now);
  void tell(device_report::kind what, const device_run& run, bool good, const std::string& cause,
            double device_seconds = 0);

  // -- shadow runs: router_shadows.cpp --
  bool maybe_shadow(const device_run& run, route_reason reason,
                    const std::vector<item_output>& outputs);
  void start_shadow(const device_run& answered, std::size_t device,
                    std::shared_ptr<const std::vector<item_output>> expected);
  void judge_shadow(const device_run& run, const run_report& report);
  bool is_being_probed(std::size_t device) const;
  std::optional<std::size_t> shadow_device(const device_run& run, route_reason reason);
  device_report::kind verdict_on(std::size_t device) const;
  void start_known_answer(std::size_t device);
  std::shared_ptr<work_batch> known_answer_batch(std::size_t device);

  // -- checks and canaries: router_checks.cpp --
  void follow_verification_options();
  void maybe_check(const device_run& run, const std::vector<item_output>& outputs);
  bool has_room_for_check(const work_batch& batch) const;
  std::size_t items_to_check(const work_batch& batch) const;
  bool is_checking() const;
  void on_lost_shadow(const device_run& run);
  void start_check();
  void start_canaries();
  bool can_take_canary(std::size_t device) const;
  std::optional<time_point> next_check() const;
  void on_wrong_answer(const device_run& run, const run_report& report);

  /// A time at which a run or a batch is looked at. Stale ones are skipped when they come up.
  struct alarm {
    time_point when;
    run_id run = 0;     ///< or 0
    batch_id batch = 0; ///< or 0
    friend bool operator>(const alarm& a, const alarm& b) noexcept { return a.when > b.when; }
  };

  pipeline_core& core_;
  std::shared_ptr<const pipeline_options> options_;
  std::priority_queue<alarm, std::vector<alarm>, std::greater<>> alarms_;
  double shadow_debt_ = 0;        ///< shadow runs owed by the batches seen, 1 is one run
  std::size_t known_answers_ = 0; ///< known-answer batches made; each asks for other rows
  // Reused between calls.
  std::vector<batch_order> arrived_;
  std::vector<run_report> reports_;
  std::vector<gpu_facts> gpus_;
};

} // namespace engram
