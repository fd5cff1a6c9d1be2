#include "engram/devices/sim_device.hpp"

#include "engram/devices/describe.hpp"
#include "engram/devices/fault_injection.hpp"
#include "engram/devices/gpu_fault_sites.hpp"

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <deque>
#include <exception>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>

namespace engram {

namespace {

// -- how long it takes --

// Bytes of activation, delta and sum that a spreading hop keeps for each node and seed set.
constexpr std::uint64_t spread_bytes_per_node = 12;

/// Returns the edges that the hops of `item` walk if none ends early.
double edges_walked(const work_item& item) noexcept {
  return work_of(*item.payload, item.count) * static_cast<double>(item.payload->spread.max_hops);
}

/// Returns the bytes of device memory that the kernel of `batch` must read at least once.
double bytes_touched(const work_batch& batch) noexcept {
  if (batch.op == operation::search) return static_cast<double>(batch.data->resident_bytes());
  const auto element =
      batch.op == operation::score ? size_of(batch.data->collection()->type()) : sizeof(float);
  return static_cast<double>(batch.item_count() * batch.dim * element);
}

double kernel_seconds(const sim_profile& profile, const work_batch& batch) noexcept {
  if (batch.op == operation::spread) {
    double edges = 0.0;
    for (const auto& item : batch.items)
      edges += edges_walked(item);
    return edges / profile.edges_per_second;
  }
  // A multiply-add is two operations.
  return std::max(bytes_touched(batch) / profile.memory_bytes_per_second,
                  2.0 * batch.work() / profile.flops);
}

device_times times_of(const sim_profile& profile, const work_batch& batch) noexcept {
  device_times times;
  times.transfer_seconds =
      static_cast<double>(input_bytes(batch) + output_bytes(batch)) / profile.pcie_bytes_per_second;
  times.kernel_seconds = kernel_seconds(profile, batch);
  times.device_seconds = profile.launch_seconds + times.transfer_seconds + times.kernel_seconds;
  return times;
}

std::uint64_t workspace_of(const work_batch& batch) noexcept {
  std::uint64_t bytes = input_bytes(batch) + output_bytes(batch);
  if (batch.op == operation::spread)
    bytes += batch.item_count() * batch.data->graph()->nodes() * spread_bytes_per_node;
  return bytes;
}

// -- what it does at a time --

/// One batch on its way through the device.
struct job {
  work_batch_ptr batch;
  run_done done;
  run_outcome outcome;
  time_point begun{};          ///< when the device began to work on it
  std::uint64_t workspace = 0; ///< bytes reserved while admitted
  bool admitted = false;       ///< holds memory and keeps its dataset resident
  bool on_stream = false;
  bool completed = false; ///< the fault point of completion was asked
  bool hung = false;      ///< will not be answered; keeps its stream and its memory
  bool ended = false;     ///< left the device: alarms that still come for it do nothing
};
using job_ptr = std::shared_ptr<job>;

/// The device as its alarms see it; they keep it alive, and after `stop` they do nothing to it.
///
/// A batch goes: admit (memory), queue, begin (a stream), compute, finish (when the profile says),
/// deliver. Everything after `run` happens in alarms, so that the clock decides on which thread. No
/// lock is held while outputs are computed or `done` is called.
class sim_core : public std::enable_shared_from_this<sim_core> {
public:
  sim_core(sim_options options, std::shared_ptr<const cpu_engine> engine, alarm_clock& clock,
           fault_points& faults)
      : options_(std::move(options)), profile_(*options_.profile),
        budget_bytes_(static_cast<std::uint64_t>(static_cast<double>(profile_.memory_bytes) *
                                                 options_.vram_safety_margin)),
        engine_(std::move(engine)), clock_(clock), faults_(faults, options_.name) {}

  const sim_options& options() const noexcept { return options_; }

  void run(work_batch_ptr batch, run_done done) {
    auto work = std::make_shared<job>();
    work->batch = std::move(batch);
    work->done = std::move(done);
    std::lock_guard lock(mutex_);
    jobs_.push_back(work);
    if (lost_) return fail(work, *lost_);
    const auto action = faults_.alloc.point.fire();
    if (auto fault = injected_fault(faults_.alloc.name, action)) return fail(work, *fault);
    work->hung = is_hang(action);
    if (work->hung) return;
    if (auto fault = admit(*work)) return fail(work, *fault);
    if (action.what != fault_action::kind::delay) return enqueue(work);
    at(clock_.now() + action.wait, work, [](sim_core& core, const job_ptr& held) {
      std::lock_guard relock(core.mutex_);
      if (core.is_active(*held)) core.enqueue(held);
    });
  }

  result<void> publish(const dataset_ptr& data) {
    std::lock_guard lock(mutex_);
    if (lost_) return error{ec::unavailable, options_.name + " is lost: " + lost_->message};
    if (const auto found = resident_.find(data->key); found != resident_.end()) {
      found->second.retired = false;
      return {};
    }
    if (auto fault = injected_fault(faults_.upload.name, faults_.upload.point.fire()))
      return refuse(*fault);
    const auto needed = data->resident_bytes();
    if (const auto free = budget_bytes_ - used_bytes_; needed > free)
      return error{ec::resource_exhausted, too_large("dataset " + describe(*data), needed, free)};
    used_bytes_ += needed;
    uploaded_bytes_ += needed;
    resident_.emplace(data->key, residence{data, needed});
    return {};
  }

  void retire(std::uint64_t key) {
    std::lock_guard lock(mutex_);
    const auto found = resident_.find(key);
    if (found == resident_.end()) return;
    found->second.retired = true;
    free_if_unused(found);
  }

  bool is_resident(std::uint64_t key) const {
    std::lock_guard lock(mutex_);
    return find_resident(key) != nullptr;
  }

  memory_budget budget() const noexcept {
    std::lock_guard lock(mutex_);
    return {used_bytes_, budget_bytes_};
  }

  std::uint64_t uploaded_bytes() const noexcept {
    std::lock_guard lock(mutex_);
    return uploaded_bytes_;
  }

  bool reset() {
    std::vector<job_ptr>
        dropped; // freed after the lock: what the callbacks captured may be anything
    std::lock_guard lock(mutex_);
    const auto action = faults_.reset.point.fire();
    if (action.what == fault_action::kind::hang || injected_fault(faults_.reset.name, action))
      return false;
    lost_.reset();
    // Whoever waited for a hung batch has given it up by now; its stream and memory come back.
    std::copy_if(jobs_.begin(), jobs_.end(), std::back_inserter(dropped),
                 [](const job_ptr& work) { return work->hung; });
    for (const auto& work : dropped)
      leave(work);
    begin_waiting();
    return true;
  }

  /// After this no alarm touches the clock or the fault points, and no `done` runs or will run.
  void stop() {
    std::deque<job_ptr> dropped;
    {
      std::unique_lock lock(mutex_);
      stopped_ = true;
      dropped.swap(jobs_);
      waiting_.clear();
      delivered_.wait(lock, [this] { return delivering_ == 0; });
    }
    // Alarms may keep the batches for a while, but not what their callbacks captured.
    for (const auto& work : dropped)
      work->done = nullptr;
  }

private:
  struct residence {
    dataset_ptr data;
    std::uint64_t bytes = 0;
    std::uint64_t users = 0; ///< batches that run on it or wait to
    bool retired = false;
  };

  std::string too_large(std::string_view what, std::uint64_t needed, std::uint64_t free) const {
    return no_room(options_.name, std::string{what}, needed, free, budget_bytes_);
  }

  /// Makes the error of a failed upload out of a fault; a sticky one loses the device.
  error refuse(const device_fault& fault) {
    if (fault.kind == fault_class::sticky) lose(fault);
    const auto code = fault.kind == fault_class::oom ? ec::resource_exhausted : ec::unavailable;
    return {code, options_.name + " could not take the dataset: " + fault.message};
  }

  // -- alarms --

  /// Calls `action(core, work)` at `when`, in an alarm.
  template <class Action>
  void at(time_point when, job_ptr work, Action action) {
    clock_.call_at(
        when, [self = shared_from_this(), work = std::move(work), action] { action(*self, work); });
  }

  bool is_active(const job& work) const noexcept { return !stopped_ && !work.ended; }

  // -- memory --

  const residence* find_resident(std::uint64_t key) const {
    const auto found = resident_.find(key);
    return found == resident_.end() || found->second.retired ? nullptr : &found->second;
  }

  /// Reserves what `work` needs, or says why it cannot run.
  std::optional<device_fault> admit(job& work) {
    const auto& batch = *work.batch;
    if (batch.data && !find_resident(batch.data->key))
      return device_fault{fault_class::transient,
                          "dataset " + describe(*batch.data) + " is not on " + options_.name};
    const auto needed = workspace_of(batch);
    if (const auto free = budget_bytes_ - used_bytes_; needed > free)
      return device_fault{fault_class::oom, too_large("a batch", needed, free)};
    work.workspace = needed;
    used_bytes_ += needed;
    if (batch.data) ++resident_.find(batch.data->key)->second.users;
    work.admitted = true;
    return std::nullopt;
  }

  void release(job& work) {
    if (!std::exchange(work.admitted, false)) return;
    used_bytes_ -= work.workspace;
    if (!work.batch->data) return;
    const auto found = resident_.find(work.batch->data->key);
    --found->second.users;
    free_if_unused(found);
  }

  void free_if_unused(std::map<std::uint64_t, residence>::iterator entry) {
    if (!entry->second.retired || entry->second.users != 0) return;
    used_bytes_ -= entry->second.bytes;
    resident_.erase(entry);
  }

  // -- the way of a batch --

  void enqueue(const job_ptr& work) {
    waiting_.push_back(work);
    begin_waiting();
  }

  void begin_waiting() {
    while (!lost_ && busy_streams_ < options_.streams && !waiting_.empty()) {
      const auto work = std::move(waiting_.front());
      waiting_.pop_front();
      if (!work->ended) begin(work);
    }
  }

  void begin(const job_ptr& work) {
    ++busy_streams_;
    work->on_stream = true;
    const auto action = faults_.launch.point.fire();
    if (auto fault = injected_fault(faults_.launch.name, action)) return fail(work, *fault);
    work->hung = is_hang(action);
    if (work->hung) return;
    work->begun = clock_.now() + action.wait;
    at(work->begun, work, [](sim_core& core, const job_ptr& begun) { core.compute(begun); });
  }

  void compute(const job_ptr& work) {
    {
      std::lock_guard lock(mutex_);
      if (!is_active(*work)) return;
    }
    auto outcome = outcome_of(*work->batch);
    std::lock_guard lock(mutex_);
    if (!is_active(*work)) return;
    work->outcome = std::move(outcome);
    at(work->begun + from_seconds(work->outcome.times.device_seconds), work,
       [](sim_core& core, const job_ptr& computed) { core.finish(computed); });
  }

  run_outcome outcome_of(const work_batch& batch) const {
    run_outcome outcome;
    try {
      outcome.outputs = engine_->compute(batch);
    } catch (const std::bad_alloc&) {
      outcome.fault = {fault_class::oom,
                       "the CPU that computes for " + options_.name + " has no memory left"};
    } catch (const std::exception& failure) {
      outcome.fault = {fault_class::transient,
                       "the CPU that computes for " + options_.name + " failed: " + failure.what()};
    }
    outcome.times = times_of(profile_, batch);
    return outcome;
  }

  void finish(const job_ptr& work) {
    std::lock_guard lock(mutex_);
    if (!is_active(*work)) return;
    conclude(work);
    begin_waiting();
  }

  void conclude(const job_ptr& work) {
    if (!std::exchange(work->completed, true)) {
      const auto action = faults_.complete.point.fire();
      if (auto fault = injected_fault(faults_.complete.name, action)) return fail(work, *fault);
      work->hung = is_hang(action);
      if (work->hung) return;
      if (action.what == fault_action::kind::delay)
        return at(clock_.now() + action.wait, work,
                  [](sim_core& core, const job_ptr& held) { core.finish(held); });
    }
    if (faults_.result.point.fire().what == fault_action::kind::corrupt)
      corrupt(work->outcome.outputs);
    answer(work);
  }

  /// Ends `work` with `fault`. A sticky one takes the others along.
  void fail(const job_ptr& work, const device_fault& fault) {
    work->outcome = {};
    work->outcome.fault = fault;
    answer(work);
    if (fault.kind == fault_class::sticky && !lost_) lose(fault);
  }

  void lose(const device_fault& fault) {
    lost_ = fault;
    for (const auto& work : std::vector(jobs_.begin(), jobs_.end()))
      if (!work->hung) fail(work, fault);
  }

  void answer(const job_ptr& work) {
    leave(work);
    at(clock_.now(), work, [](sim_core& core, const job_ptr& ended) { core.deliver(*ended); });
  }

  /// Takes `work` off the device: its stream and memory are free, no alarm does anything for it any
  /// more.
  void leave(const job_ptr& work) {
    work->ended = true;
    if (std::exchange(work->on_stream, false)) --busy_streams_;
    release(*work);
    std::erase(jobs_, work);
  }

  void deliver(job& work) {
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      ++delivering_;
    }
    work.done(std::move(work.outcome));
    work.done = nullptr;
    std::lock_guard lock(mutex_);
    --delivering_;
    delivered_.notify_all();
  }

  const sim_options options_;
  const sim_profile& profile_;
  const std::uint64_t budget_bytes_;
  const std::shared_ptr<const cpu_engine> engine_;
  alarm_clock& clock_;
  const gpu_fault_sites faults_;

  mutable std::mutex mutex_;
  std::condition_variable delivered_;
  std::map<std::uint64_t, residence> resident_; ///< by the dataset's key
  std::uint64_t used_bytes_ = 0;                ///< resident data and workspaces
  std::uint64_t uploaded_bytes_ = 0;            ///< ever
  std::deque<job_ptr> jobs_;                    ///< all that have not left, by arrival
  std::deque<job_ptr> waiting_;                 ///< admitted, without a stream; some may have ended
  std::uint32_t busy_streams_ = 0;
  std::uint32_t delivering_ = 0; ///< calls of `done` under way
  std::optional<device_fault> lost_;
  bool stopped_ = false;
};

class sim_device final : public device {
public:
  sim_device(sim_options options, std::shared_ptr<const cpu_engine> engine,
             std::shared_ptr<alarm_clock> clock, fault_points& faults)
      : info_{options.name, device_kind::simulated,
              "simulated " + std::string(options.profile->model), options.profile->memory_bytes,
              options.streams},
        clock_(std::move(clock)),
        core_(std::make_shared<sim_core>(std::move(options), std::move(engine), *clock_, faults)) {}

  ~sim_device() override { core_->stop(); }

  const device_info& info() const noexcept override { return info_; }
  void run(work_batch_ptr batch, run_done done) override {
    core_->run(std::move(batch), std::move(done));
  }
  result<void> publish(const dataset_ptr& data) override { return core_->publish(data); }
  void retire(std::uint64_t key) override { core_->retire(key); }
  bool is_resident(std::uint64_t key) const override { return core_->is_resident(key); }
  memory_budget budget() const noexcept override { return core_->budget(); }
  std::uint64_t workspace_bytes(const work_batch& batch) const noexcept override {
    return workspace_of(batch);
  }
  bool reset() override { return core_->reset(); }
  std::uint64_t uploaded_bytes() const noexcept override { return core_->uploaded_bytes(); }

private:
  const device_info info_;
  const std::shared_ptr<alarm_clock> clock_;
  const std::shared_ptr<sim_core> core_;
};

} // namespace

std::unique_ptr<device> make_sim_device(sim_options options,
                                        std::shared_ptr<const cpu_engine> engine,
                                        std::shared_ptr<alarm_clock> clock, fault_points& faults) {
  assert(options.profile && options.streams > 0);
  return std::make_unique<sim_device>(std::move(options), std::move(engine), std::move(clock),
                                      faults);
}

} // namespace engram
