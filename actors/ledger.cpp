#include "engram/actors/ledger.hpp"

#include <utility>

namespace engram {

ledger_entry& in_flight_ledger::enter(batch_order order) {
  const auto id = ++last_batch_;
  order.batch->id = id;
  auto& entry = entries_[id];
  entry.order = std::move(order);
  entry.struck = std::make_shared<std::atomic<bool>>(false);
  outstanding_.store(entries_.size()); // sequentially consistent: see pipeline_core::batcher_waits
  return entry;
}

ledger_entry* in_flight_ledger::find(batch_id batch) {
  const auto found = entries_.find(batch);
  return found == entries_.end() ? nullptr : &found->second;
}

void in_flight_ledger::strike(batch_id batch) {
  const auto found = entries_.find(batch);
  if (found == entries_.end()) return;
  if (auto& struck = found->second.struck) // null once it was moved out, to be split
    struck->store(true, std::memory_order_relaxed);
  entries_.erase(found);
  outstanding_.store(entries_.size()); // sequentially consistent: see pipeline_core::batcher_waits
}

run_id in_flight_ledger::start(device_run run) {
  if (load_.size() <= run.device) load_.resize(run.device + 1);
  load_[run.device].runs += 1;
  load_[run.device].seconds += run.predicted_seconds;
  const auto id = ++last_run_;
  runs_.emplace(id, std::move(run));
  return id;
}

device_run* in_flight_ledger::find_run(run_id run) {
  const auto found = runs_.find(run);
  return found == runs_.end() ? nullptr : &found->second;
}

void in_flight_ledger::end_run(run_id run) {
  const auto found = runs_.find(run);
  if (found == runs_.end()) return;
  auto& its_load = load_[found->second.device];
  its_load.runs -= 1;
  its_load.seconds = its_load.runs == 0 ? 0 : its_load.seconds - found->second.predicted_seconds;
  runs_.erase(found);
}

std::size_t in_flight_ledger::runs_on(std::size_t device) const {
  return device < load_.size() ? load_[device].runs : 0;
}

double in_flight_ledger::queued_seconds(std::size_t device) const {
  return device < load_.size() ? load_[device].seconds : 0;
}

} // namespace engram
